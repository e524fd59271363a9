/** The `curl` that does the same: for a request that the page made, and for a frame that a backend could have asked for instead. */

/** A text as one word of a POSIX shell. */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * @param {string} method
 * @param {string} path
 * @param {{headers?: Record<string, string>, body?: unknown}} [request]
 */
export function curlOf(method, path, { headers = {}, body } = {}) {
  const words = [`curl -X ${method} ${quoted(location.origin + path)}`];
  for (const [name, value] of Object.entries(headers)) words.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (body !== undefined) words.push(`-d ${quoted(JSON.stringify(body))}`);
  return words.join(" \\\n  ");
}

/**
 * What a tenant's backend asks for to the same effect as a client's frame, if it can.
 * @returns {{method: string, path: string, body?: object} | undefined}
 */
export function requestLike({ a, d = {} }, user) {
  const group = `/api/groups/${encodeURIComponent(d.g)}`;
  const message = `${group}/messages/${encodeURIComponent(d.i)}`;
  switch (a) {
    case 1:
      return { method: "GET", path: `${group}/presence` };
    case 2:
      // With the same client_id it is the same message, which is stored once.
      return { method: "POST", path: `${group}/messages`, body: present({ user, text: d.m, client_id: d.ci, reply_to: d.rp, custom: d.x }) };
    case 3:
      return { method: "GET", path: `${group}/messages${query({ before: d.b, after: d.af, limit: d.l })}` };
    case 7:
      return { method: "PATCH", path: message, body: present({ user, text: d.m, custom: d.x }) };
    case 8:
      return { method: "DELETE", path: `${message}${query({ user })}` };
    case 14:
      return d.op === "join" ? tokenRequest(user, d.g) : undefined;
    case 16:
      return { method: "POST", path: `${group}/moderation`, body: present({ op: d.op, user: d.u, until: d.until, by: user }) };
    default:
      return undefined;
  }
}

/** A token opens a connection of a user, or one that is in a group from the beginning. */
export function tokenRequest(user, group) {
  return { method: "POST", path: "/api/token", body: present({ user, group }) };
}

function present(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function query(fields) {
  const text = new URLSearchParams(present(fields)).toString();
  return text ? `?${text}` : "";
}
