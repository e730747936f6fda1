// Reads BPMN and Mermaid as their own makers read it, and says what they say about it.
//
// In: {bpmn: {name: text}, mermaid: {name: text}}. Out: the same names, each with a list of what was
// said, in words; empty where a text was read and nothing is to be said.

import { BpmnModdle } from 'bpmn-moddle';
import { Linter } from 'bpmnlint';
import NodeResolver from 'bpmnlint/lib/resolver/node-resolver.js';
import { JSDOM } from 'jsdom';

const { window } = new JSDOM(''); // Mermaid cleans labels with the tools of a browser
Object.assign(globalThis, { window, document: window.document });
const { default: mermaid } = await import('mermaid');

// Advice for who draws by hand, against what the standard has: an `n_of` counts, and only a complex
// gateway can; an undoing begins when its block fails or when it is cancelled.
const rules = { extends: 'bpmnlint:recommended', rules: { 'no-complex-gateway': 'off', 'single-event-definition': 'off' } };
const resolver = new NodeResolver();

async function bpmn(text) {
  const { rootElement, warnings } = await new BpmnModdle().fromXML(text);
  const linter = new Linter({ config: rules, resolver }); // its rules remember what they have seen
  const found = Object.entries(await linter.lint(rootElement));
  const errors = found.flatMap(([rule, said]) => said.filter((each) => each.category === 'error').map((each) => `${rule}: ${each.id} ${each.message}`));
  return [...warnings.map((each) => each.message), ...errors];
}

async function flowchart(text) {
  const { diagramType } = await mermaid.parse(text);
  return diagramType === 'flowchart-v2' ? [] : [`it is a ${diagramType}`];
}

async function all(texts, read) {
  const found = {};
  for (const [name, text] of Object.entries(texts)) {
    found[name] = await read(text).catch((error) => [String(error)]);
  }
  return found;
}

let text = '';
for await (const part of process.stdin) text += part;
const given = JSON.parse(text);
process.stdout.write(JSON.stringify({ bpmn: await all(given.bpmn, bpmn), mermaid: await all(given.mermaid, flowchart) }));
