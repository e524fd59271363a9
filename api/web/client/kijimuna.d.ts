/**
 * The client of Kijimuna's protocol, version 2. It has no dependencies and runs in browsers and in Node.js 20 and newer.
 *
 * ```js
 * import { connect } from "/kijimuna.js";
 * const chat = connect("wss://chat.example", () => fetch("/chat-token").then((answer) => answer.text()));
 * const lobby = await chat.join("lobby");
 * lobby.on("change", () => render(lobby.state));
 * await lobby.send("hello");
 * ```
 */

/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * One token, or a function that asks your backend for a fresh one whenever it is needed. When that fails it is tried again, unless the error
 * has `temporary` false.
 */
export type TokenSource = string | (() => string | Promise<string>);

/**
 * Opens a connection and keeps it open: it comes back by itself, without a hole and with nothing twice.
 * @param url The server, such as `wss://chat.example`; `http` and `https` are taken as `ws` and `wss`.
 * @param token A token opens one connection; later ones are opened with the server's tickets. With a function the client gets
 *   over a lost ticket, too.
 */
export function connect(url: string, token: TokenSource, options?: Options): Chat;

/** What can be chosen. All of it is optional; times are in milliseconds. */
export interface Options {
  /** How frames are written. Default `"json"`. */
  encoding?: "json" | "msgpack";
  /** The WebSocket class. Default the global one, which Node.js has from version 22 on. */
  WebSocket?: WebSocketClass;
  /** Hears every message of every group: the same as `group.on("message")` on each. */
  onMessage?: (message: Message, group: Group) => void;
  /** Hears every change of the connection: the same as `chat.on("state")`. */
  onState?: (state: ConnectionState) => void;
  /** Hears what went wrong without a promise that could say so: the same as `chat.on("error")`. */
  onError?: (error: KijimunaError) => void;
  /** Messages of history that a group is given when it is joined, 0 to 100. Default 50. */
  history?: number;
  /** Messages that a group's state keeps at most; beyond it the oldest are dropped from the state. Default 10,000. */
  keep?: number;
  /** Pages (of 100 messages) that are fetched by itself to close a gap. Default 20. */
  gapPages?: number;
  /** The first wait before coming back is a random time up to this. Default 500. */
  backoffBase?: number;
  /** The longest such time: it doubles with every failure up to here. Default 30,000. */
  backoffMax?: number;
  /** How long a connection must have lasted until the waits begin again with the first. Default 5,000. */
  stableAfter?: number;
  /** How long a connection may take to be welcomed. Default 15,000. */
  connectTimeout?: number;
  /** How long an answer may take before its promise is rejected with `timeout`. Default 15,000. */
  requestTimeout?: number;
  /** How long a sign of life may take that was asked for after the server's heartbeat time has passed in silence. Default 10,000. */
  pongTimeout?: number;
  /** How long a message waits for its ack before it is sent again. Default 10,000. */
  ackTimeout?: number;
  /** How often a message is sent while the connection is up and nothing comes back, before it counts as failed. Default 5. */
  sendTries?: number;
  /** Messages of a group that may wait to be acked. More are refused with `outbox_full`. Default 1,000. */
  outboxMax?: number;
  /** The shortest time between two markers of a group. Default 250. */
  markerInterval?: number;
  /** How often typing is said again while it lasts. Default 3,000. */
  typingInterval?: number;
  /** Typing ends by itself so long after the last `typing(true)`; 0 for never. Default 5,000. */
  typingIdle?: number;
  /** The clock, in milliseconds that never go back. For tests. */
  now?: () => number;
  /** The wall clock, in Unix milliseconds. For tests. */
  unixNow?: () => number;
  /** A random number from 0 up to 1, for waits. For tests. */
  random?: () => number;
  /** Makes the ids of messages: unique for all of a user's devices, 1 to 64 characters. */
  makeId?: () => string;
  /** Timers. For tests. */
  setTimeout?: (callback: () => void, ms: number) => unknown;
  /** Timers. For tests. */
  clearTimeout?: (timer: unknown) => void;
}

/** What the client needs of a WebSocket class; the global one and that of the npm package `ws` have it. */
export interface WebSocketClass {
  new (url: string, protocols: string[]): WebSocketLike;
}

/** What the client needs of a WebSocket. */
export interface WebSocketLike {
  binaryType: string;
  readonly protocol: string;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(data: any): void;
  close(code?: number, reason?: string): void;
}

/** How the connection is. */
export interface ConnectionState {
  /** `connecting` until the welcome, `live` after it, `waiting` until the next try, `closed` for good. */
  readonly status: "connecting" | "live" | "waiting" | "closed";
  /** Why it waits or is closed. */
  readonly why?: KijimunaError;
  /** How long it waits until the next try. Only while it waits. */
  readonly retryIn?: number;
  /** Failed tries since the connection was last up. */
  readonly failures: number;
}

/** Stops what it was given for. */
export type Stop = () => void;

/** Something that events come from. */
export interface Emitter<Events> {
  /** Hears an event from now on. */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): Stop;
  /** Hears the next one only. */
  once<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): Stop;
  /** Hears it no more. */
  off<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): void;
  /**
   * Every event from now on, for `for await`. It ends when the connection or the group does. A reader that lets more than 10,000 wait gets
   * the error `overflow`.
   */
  events<Name extends keyof Events>(name: Name): AsyncIterableIterator<Events[Name]>;
}

/** What a connection tells of. */
export interface ChatEvents {
  /** The connection is another way now. */
  state: ConnectionState;
  /** A message came in any of the groups, live or in a replay; not with a page of history. */
  message: { readonly message: Message; readonly group: Group };
  /** Something was said in groups that this connection hasn't joined, or the user was added to one. */
  inbox: readonly InboxEntry[];
  /** Something went wrong without a promise that could say so. The client goes on. */
  error: KijimunaError;
  /** The server will close soon, and says how long to wait then. */
  drain: { readonly wait: number };
}

/** An event of a group, as `for await (const event of group)` gives it: its `type` is its name. */
export type GroupEvent = { readonly group: Group } & (
  | { readonly type: "change"; readonly state: GroupState }
  | { readonly type: "message"; readonly message: Message }
  | { readonly type: "roster"; readonly roster: readonly Person[] }
  | { readonly type: "typing"; readonly typing: readonly string[] }
  | DetailsOf<GroupEvents, "edit" | "delete" | "reaction" | "moderation" | "marker" | "whisper" | "history" | "gap" | "reset" | "left">
);

/** An event of a connection or of one of its groups, as `for await (const event of chat)` gives it: its `type` is its name. */
export type ChatEvent =
  | { readonly type: "state"; readonly state: ConnectionState }
  | { readonly type: "inbox"; readonly entries: readonly InboxEntry[] }
  | { readonly type: "error"; readonly error: KijimunaError }
  | DetailsOf<ChatEvents, "drain">
  | GroupEvent;

/** Events that are a few details, each with its name. */
export type DetailsOf<Events, Names extends keyof Events> = { [Name in Names]: { readonly type: Name } & Events[Name] }[Names];

/**
 * A connection. `for await (const event of chat)` gives every event from then on, its own and those of its groups, and ends with it.
 */
export interface Chat extends Emitter<ChatEvents>, AsyncIterable<ChatEvent> {
  /** Every event from now on. */
  [Symbol.asyncIterator](): AsyncIterableIterator<ChatEvent>;
  /** How it is now. */
  readonly state: ConnectionState;
  /** The user's id; empty before the first welcome. */
  readonly user: string;
  /** The server's limits; absent before the first welcome. */
  readonly limits: ServerLimits | undefined;
  /** Resolves with the first welcome; rejects when the connection is closed for good before that. */
  readonly ready: Promise<Chat>;
  /**
   * The group of a group-scoped connection, from the first welcome on. Rejects on a user-scoped connection, with `user_scoped`.
   */
  readonly group: Promise<Group>;
  /** The groups that it is in or coming back into, by id. */
  readonly groups: ReadonlyMap<string, Group>;
  /**
   * Comes into a group of a user-scoped connection. Resolves at the group's welcome, however long the way there takes, and with the same
   * group when it is in there already. On a group-scoped connection it gives that one group.
   */
  join(group: string): Promise<Group>;
  /** How far the user has come in all groups, the latest first. */
  inbox(limit?: number): Promise<InboxEntry[]>;
  /** Tries at once when it waits to come back. In a browser that happens by itself when the network returns. */
  wake(): void;
  /**
   * Ends the connection for good. What waits is rejected with `closed`. With `leave` the user counts as gone at once, and not
   * only after the server's five seconds.
   */
  close(options?: { leave?: boolean }): void;
}

/** What the server allows. */
export interface ServerLimits {
  /** Bytes of a frame. */
  readonly frame: number;
  /** Bytes of a message's text. */
  readonly message: number;
  /** Bytes of custom data as JSON. */
  readonly custom: number;
  /**
   * Messages, their edits, deletions and reactions, and moderation a second, with bursts of three times as many; 0 for no bound. So are the
   * next two. The client keeps to it: what would be too fast waits for its turn.
   */
  readonly send: number;
  /** Pages and the like a second. */
  readonly request: number;
  /** Markers, typing and whispers a second. */
  readonly signal: number;
  /** Groups that one connection may join. */
  readonly groups: number;
  /** Events that a resume replays. */
  readonly replay: number;
}

/** How far the user has come in a group. */
export interface InboxEntry {
  readonly group: string;
  /** The group's newest sequence. */
  readonly seq: number;
  /** The user has read up to here. */
  readonly read: number;
  /** Messages after that. */
  readonly unread: number;
}

/** A message as it stands now. These objects never change: another version is another object. */
export interface Message {
  /** The same from the moment on that an own message is sent: for lists that need a key. */
  readonly key: string;
  /** The server's id; empty until it is acked. */
  readonly id: string;
  /** Its place in the group's log; 0 until it is acked. */
  readonly seq: number;
  /** When it was said, Unix milliseconds; until it is acked, by this device's clock. */
  readonly time: number;
  /** Who said it; empty for the tenant's backend and for who was erased. */
  readonly user: string;
  /** The user of this connection said it. */
  readonly own: boolean;
  /** Empty when it was deleted. */
  readonly text: string;
  /** The sender's own id of it. */
  readonly clientId?: string;
  /** The id of the message that it replies to. */
  readonly replyTo?: string;
  /** The sender's own data. */
  readonly custom?: Json;
  /** When it was edited last, Unix milliseconds. */
  readonly editedAt?: number;
  /** Sorted by key. */
  readonly reactions: readonly Reaction[];
  /** It is a tombstone. */
  readonly deleted: boolean;
  /** Its author was erased. */
  readonly erased: boolean;
  /** The sequence of the last event that changed it. */
  readonly version: number;
  /** `stored` is everything but one's own messages that wait for a connection, are on their way, or were refused. */
  readonly status: "stored" | "waiting" | "sending" | "failed";
  /** Why it failed. */
  readonly error?: KijimunaError;
}

/** How many set a reaction. */
export interface Reaction {
  readonly key: string;
  readonly count: number;
  /** The user of this connection did. */
  readonly mine: boolean;
}

/** What somebody may in a group. */
export type Role = "member" | "moderator" | "muted";

/** Somebody who attends a group. */
export interface Person {
  readonly id: string;
  readonly name: string;
  readonly icon?: string;
  readonly role: Role;
  readonly online: boolean;
}

/** How far somebody has come. */
export interface Marker {
  /** Has read up to this sequence. */
  readonly read: number;
  /** Has received up to this sequence. */
  readonly received: number;
}

/** Where messages may be missing: between these two sequences. What lies below may be out of date until the gap is closed. */
export interface Gap {
  readonly after: number;
  readonly before: number;
}

/** A group as it stands now. These objects never change: another state is another object. */
export interface GroupState {
  /**
   * `joining` until the first welcome, `live`, `away` while the connection comes back, `left` for good.
   */
  readonly status: "joining" | "live" | "away" | "left";
  /**
   * In their order, the newest version of each; the own ones that aren't acked come last. What the group's retention takes away stays
   * here until a page comes that it would be in: no event tells of it.
   */
  readonly messages: readonly Message[];
  /** History may hold more before the first of them. */
  readonly more: boolean;
  /** Where messages may be missing, the oldest first. Mostly empty. */
  readonly gaps: readonly Gap[];
  /**
   * Everyone in a group of up to 250 attendees; in a larger one some of those who are online, and in one that has grown past that since it was
   * joined those who weren't, too. Empty above 5,000 attendees once their number has changed: only `online` is told there. By id, who is
   * online first.
   */
  readonly roster: readonly Person[];
  /** The roster holds everyone; no more once the group has grown too large for that. */
  readonly rosterWhole: boolean;
  /** How many are online. */
  readonly online: number;
  /** By user id; in a large group only the user's own. Who has said something has read up to it. */
  readonly markers: ReadonlyMap<string, Marker>;
  /** The ids of the others who type, each until the server says otherwise or has said nothing of it for 7 s; empty in a large group. */
  readonly typing: readonly string[];
  /** How many others type; in a large group perhaps with oneself. */
  readonly typingCount: number;
  /** What the user may. A mute ends by itself at `mutedUntil`. */
  readonly role: Role;
  /** Until when the user is muted, Unix milliseconds; absent until further notice. */
  readonly mutedUntil?: number;
  /** The last event of the log that was applied. */
  readonly seq: number;
  /** The log's life: another one after the group was made again. */
  readonly epoch: string;
}

/** What a group tells of. All but pages and gaps comes in the log's order, live or in a replay, and once. */
export interface GroupEvents {
  /** `group.state` is another one. At most once for whatever the server sent together. */
  change: GroupState;
  /** A message came, live or in a replay; not with a page of history. One's own, too. */
  message: Message;
  /** A message was edited. Without `message` it isn't in the state. */
  edit: { readonly id: string; readonly seq: number; readonly by: string; readonly message?: Message };
  /** A message was deleted. */
  delete: { readonly id: string; readonly seq: number; readonly by: string; readonly message?: Message };
  /** Somebody set a reaction or took it back. */
  reaction: {
    readonly id: string;
    readonly seq: number;
    readonly user: string;
    readonly key: string;
    readonly set: boolean;
    readonly message?: Message;
  };
  /** Somebody was muted, removed or banned, or that was lifted. */
  moderation: ModerationEvent;
  /** The roster is another one. */
  roster: readonly Person[];
  /** Somebody has read or received more. */
  marker: { readonly user: string } & Marker;
  /** Who types is another. */
  typing: readonly string[];
  /** Somebody said something that isn't stored. */
  whisper: { readonly user: string; readonly custom: Json };
  /** A page of history is in the state. */
  history: HistoryPage;
  /** What was missed couldn't be replayed, and is being paged: `open` until that is done. */
  gap: { readonly why: string; readonly open: boolean };
  /** The state was emptied: the group is another one of the same name, or its log was set back. */
  reset: { readonly why: string };
  /** The group is left, by the user or because the server said so, in `why`. Nothing comes any more, but for a `change` when it shows what became of messages that were on their way. */
  left: { readonly why?: KijimunaError };
}

/** A moderation, as the log has it. */
export interface ModerationEvent {
  readonly seq: number;
  readonly op: ModerationOp;
  readonly user: string;
  readonly until?: number;
  readonly by: string;
}

/** What a moderator can do. */
export type ModerationOp = "mute" | "unmute" | "kick" | "ban" | "unban";

/** What was asked for, done and durable. */
export interface Ack {
  /** The message that was said or changed. */
  readonly id?: string;
  /** The event's place in the log; absent when nothing changed. */
  readonly seq?: number;
  /** When it was taken, Unix milliseconds. */
  readonly time?: number;
  /** It had been done before. */
  readonly duplicate: boolean;
}

/** A message, acked. */
export interface Sent extends Ack {
  readonly id: string;
  readonly seq: number;
  readonly time: number;
  readonly clientId: string;
}

/** What a message may have beside its text. */
export interface SendOptions {
  /** The id of a message of the group. */
  replyTo?: string;
  /** Own data. */
  custom?: Json;
  /** The client's own id of it, for who keeps unsent messages across page loads. Otherwise it is made. */
  clientId?: string;
  /** It may have been sent before, with this `clientId`. */
  again?: boolean;
}

/** A page of history. */
export interface HistoryPage {
  /** The oldest first, as they stand now. */
  readonly messages: readonly Message[];
  /** There is more in the direction that was asked for. */
  readonly more: boolean;
}

/** A sequence or a message's id, and how many messages. */
export interface HistoryQuery {
  /** Before this; not together with `after`. */
  before?: number | string;
  /** After this. */
  after?: number | string;
  /** 1 to 100. By default the server's, which is 50. */
  limit?: number;
}

/** A group that the connection is in. `for await (const event of group)` gives every event of it from then on, and ends with it. */
export interface Group extends Emitter<GroupEvents>, AsyncIterable<GroupEvent> {
  /** Every event from now on. */
  [Symbol.asyncIterator](): AsyncIterableIterator<GroupEvent>;
  readonly id: string;
  /** How it stands now. The same object until something changes. */
  readonly state: GroupState;
  /** Calls back on every change; for `useSyncExternalStore` and the like. */
  subscribe(listener: () => void): Stop;
  /** Every message from now on: the same as `events("message")`. */
  messages(): AsyncIterableIterator<Message>;

  /**
   * Says something. It stands in the state at once, is sent when there is a connection, in order, again until it is acked, and stored once.
   * When one is refused for a while, those behind it wait until it is acked; only what was on its way already may come before it. Resolves at
   * the ack; rejects when the server refuses it, and then it stays in the state as `failed`. It rejects, too, when the group is over; if it
   * was on its way then, its answer is waited for up to five seconds, and without one the error is `uncertain`.
   */
  send(text: string, options?: SendOptions): Promise<Sent>;
  /** Sends a failed message again. */
  retry(clientId: string): Promise<Sent>;
  /** Takes a failed message out of the state. */
  discard(clientId: string): void;

  /** Changes a message. `custom` null takes its data away, absent leaves them as they are. */
  edit(id: string, text: string | undefined, options?: { custom?: Json }): Promise<Ack>;
  /** Deletes a message. */
  remove(id: string): Promise<Ack>;
  /** Sets a reaction. */
  react(id: string, key: string): Promise<Ack>;
  /** Takes a reaction back. */
  unreact(id: string, key: string): Promise<Ack>;

  /** The user has read up to here; by default, to the newest. Told to the server at most four times a second. Throws for what is no sequence. */
  read(seq?: number): void;
  /** This device has received up to here; by default, to the newest. */
  received(seq?: number): void;
  /**
   * The user types, or has stopped. Call it with every key: it is sent seldom, said again while it lasts, and ended when the calls stop.
   */
  typing(on?: boolean): void;
  /** Says something that isn't stored, to everyone else or to one user. */
  whisper(custom: Json, to?: string): Promise<Ack>;

  /** Fetches a page, which goes into the state, too, where it touches what is there. What history no longer has there goes from the state. */
  history(query?: HistoryQuery): Promise<HistoryPage>;
  /** Pages back from the oldest message in the state. */
  older(limit?: number): Promise<HistoryPage>;
  /** Goes on closing gaps, when there were more pages than `gapPages`. Resolves to whether there are none any more. */
  closeGaps(): Promise<boolean>;

  mute(user: string, options?: { until?: number | Date }): Promise<Ack>;
  unmute(user: string): Promise<Ack>;
  kick(user: string): Promise<Ack>;
  ban(user: string, options?: { until?: number | Date }): Promise<Ack>;
  unban(user: string): Promise<Ack>;

  /** Leaves for good. On a group-scoped connection this ends the connection. */
  leave(): Promise<void>;
}

/** Whatever goes wrong. */
export class KijimunaError extends Error {
  /**
   * A word of the server's table of codes, or one of the client's own: `closed`, `disconnected`, `timeout`, `outbox_full`, `frame_too_large`,
   * `invalid`, `malformed_frame`, `overflow`, `not_version_2`, `token_failed`, `user_scoped`, `group_scoped`, `left`; for a connection that the
   * server closed, `close_` and its code.
   */
  readonly code: string;
  /** The same may work later. */
  readonly temporary: boolean;
  /**
   * True when it was sent and nobody said what became of it: it may have been done all the same, a message may be stored and seen by the others.
   * So it is with `timeout`, `group_unavailable` and `internal`, and with what was under way when the connection ended, or when the user was taken out of the group or left it.
   * Absent, it wasn't done.
   */
  readonly uncertain?: boolean;
  /** After so many milliseconds, if the server said so. */
  readonly retryAfter?: number;
  /** The WebSocket's close code, if that is what happened. */
  readonly closeCode?: number;
  constructor(code: string, message: string, details?: { temporary?: boolean; uncertain?: boolean; retryAfter?: number; closeCode?: number; cause?: unknown });
}
