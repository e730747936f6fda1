const part = (name) => document.getElementById(name);
const say = (text) => { part('said').textContent = text; };

async function send(path, method, body) {
  const answer = await fetch('/_sim/' + path, {method, body,
    headers: {'X-Sim-Page': '1', 'Content-Type': 'application/json'}});
  if (answer.ok) say('');
  else say((await answer.json()).message);
  await refresh();
  return answer.ok;
}

/* A row that was not there before is shown as new. */
function marked(before, after) {
  for (const table of after.querySelectorAll('table[data-title]')) {
    const known = before.querySelector(`table[data-title="${table.dataset.title}"]`);
    const rows = new Set([...(known ? known.tBodies[0].rows : [])].map((row) => row.textContent));
    for (const row of table.tBodies[0].rows) row.classList.toggle('fresh', !rows.has(row.textContent));
  }
}

async function refresh() {
  try {
    const answer = await fetch('/_sim/fragment');
    if (!answer.ok) return;
    const fresh = document.createElement('template');
    fresh.innerHTML = await answer.text();
    for (const made of fresh.content.querySelectorAll('[data-part]')) {
      const shown = part(made.dataset.part);
      if (shown.contains(document.activeElement) || shown.innerHTML === made.innerHTML) continue;
      marked(shown, made);
      shown.replaceChildren(...made.childNodes);
    }
  } catch (gone) { /* the simulator has stopped; the next round asks again */ }
}

function given(form) {
  const found = {};
  for (const field of form.elements) {
    if (!field.name) continue;
    if (field.type === 'checkbox') found[field.name] = field.checked;
    else if (field.value === '' && field.dataset.kind !== 'text') continue;
    else if (field.dataset.kind === 'list') found[field.name] = field.value.split(',').map((one) => one.trim());
    else if (field.type === 'number') found[field.name] = Number(field.value);
    else if (field.value !== '' || field.required) found[field.name] = field.value;
  }
  return found;
}

document.addEventListener('click', async (event) => {
  const button = event.target.closest('button[type=button]');
  if (!button) return;
  button.blur();
  const {fault, rule, drop, act, given: what, advance} = button.dataset;
  const on = button.getAttribute('aria-pressed') === 'true';
  if (drop) await send('faults/' + encodeURIComponent(drop), 'DELETE');
  else if (fault) await send('faults/' + fault, on ? 'DELETE' : 'PUT', on ? null : rule);
  else if (act) await send('act/' + act, 'POST', what);
  else if (advance) await send('clock', 'POST', JSON.stringify({advance_s: Number(advance)}));
  else if (button.id === 'fetch') {
    const answer = await (await fetch('/_sim/faults')).json();
    part('script').value = JSON.stringify(answer.faults, null, 1);
  }
});

document.addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = event.target, what = given(form);
  if (form.dataset.act) {
    if (await send('act/' + form.dataset.act, 'POST', JSON.stringify(what))) form.reset();
  } else if (form.id === 'break') {
    const {operation, effect, times} = what;
    await send('faults', 'POST', JSON.stringify({effect, times: times || null, match: {operation}}));
  } else {
    await send('faults', 'PUT', '{"faults":' + (part('script').value || '[]') + '}');
  }
});

setInterval(refresh, 2000);
