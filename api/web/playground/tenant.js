/** The demo tenant as the page knows it: names, which a user's own connection isn't told of groups that it hasn't joined. */

export class Tenant {
  users;
  #groups;

  /** @param {{users: {id: string, name: string}[], groups: {id: string, name: string, direct: boolean, attendees: string[]}[]}} made */
  constructor({ users, groups }) {
    this.users = users;
    this.#groups = new Map(groups.map((group) => [group.id, { ...group, attendees: new Set(group.attendees) }]));
  }

  nameOf(user) {
    return this.users.find(({ id }) => id === user)?.name ?? user;
  }

  /** Which of the colours is a user's. */
  hueOf(user) {
    const at = this.users.findIndex(({ id }) => id === user);
    return at < 0 ? this.users.length : at;
  }

  groupsOf(user) {
    return [...this.#groups.values()].filter(({ attendees }) => attendees.has(user));
  }

  /** A direct group is called after the other one. */
  groupName(id, user) {
    const group = this.#groups.get(id);
    const other = group?.direct && [...group.attendees].find((attendee) => attendee !== user);
    return other ? this.nameOf(other) : (group?.name ?? id);
  }

  /** The server tells of a group that the user attends. */
  attends(user, id) {
    if (!this.#groups.has(id)) this.#groups.set(id, { id, name: id, direct: false, attendees: new Set() });
    this.#groups.get(id).attendees.add(user);
  }

  /** The user attends a group no more. */
  forget(user, id) {
    this.#groups.get(id)?.attendees.delete(user);
  }
}
