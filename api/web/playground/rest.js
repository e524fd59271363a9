/** What a tenant's backend does: requests over REST. In a product the secret never comes into a page; here the page is the backend, too. */

import { curlOf } from "./curl.js";

const JSON_TYPE = { "content-type": "application/json" };

/** A request that was refused, or not answered. */
export class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    // The client asks for another token only when that may help.
    Object.assign(this, { status, code, temporary: status === 0 || status === 429 || status >= 500 });
  }
}

export class Rest {
  /** The headers `client` and `secret`, once there is a tenant. */
  credentials = {};
  #tell;

  /** @param {(call: object) => void} tell hears of every request and how it was answered */
  constructor(tell) {
    this.#tell = tell;
  }

  get(path) {
    return this.call("GET", path);
  }

  post(path, body = {}, user) {
    return this.call("POST", path, body, user);
  }

  /** `user` is whose connection it is about, if it is about one. */
  async call(method, path, body, user) {
    const headers = { ...this.credentials, ...(body === undefined ? {} : JSON_TYPE) };
    const call = { kind: "rest", method, path, user, time: Date.now(), curl: curlOf(method, path, { headers, body }) };
    try {
      const answer = await ask(method, path, headers, body);
      this.#tell({ ...call, ...answer });
      if (answer.status < 400) return answer.data;
      throw new Refusal(answer.status, answer.data?.code ?? "unknown", answer.data?.error ?? "the server gave no reason");
    } catch (error) {
      if (error instanceof Refusal) throw error;
      this.#tell({ ...call, status: 0 });
      throw new Refusal(0, "unreachable", "the server doesn’t answer");
    }
  }

  /** The curl that does what a frame of a user does. */
  curlLike({ method, path, body }) {
    return curlOf(method, path, { headers: { ...this.credentials, ...(body === undefined ? {} : JSON_TYPE) }, body });
  }
}

async function ask(method, path, headers, body) {
  // Without the browser's own credentials: it would ask the user for some, and never answer, where a kept tenant is no more.
  const init = { method, headers, cache: "no-store", credentials: "omit", body: body === undefined ? undefined : JSON.stringify(body) };
  const response = await fetch(path, init);
  const text = await response.text();
  return { status: response.status, size: text.length, data: text === "" ? undefined : JSON.parse(text) };
}
