// Tells the server the viewer's time zone, so that it writes times as this clock shows them.

/** Set the cookie of the zone; the next answer uses it. */
export function tellZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && !document.cookie.split("; ").includes(`newel-zone=${zone}`)) {
    document.cookie = `newel-zone=${zone}; path=/; max-age=31536000; samesite=lax`;
  }
}
