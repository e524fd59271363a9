//! Who is there: the attendees of a group, which of them are online, and when to say so.
//!
//! A user is online while at least one session is in. Changes are gathered and told at most once an interval;
//! what came and went in between is never told. Groups up to `full_max` attendees are told the whole roster,
//! larger ones only who changed, so that a change costs the same however many attend.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::attendance::{AttendeeRecord, Standing};
use super::ids::{UserId, UserLife, UserUid};
use super::profile::{Icon, Name, UserRecord};

/// A user as a roster shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attendee {
    /// The user.
    pub id: UserId,
    /// Which life of the user.
    pub uid: UserUid,
    /// Shown name.
    pub name: Name,
    /// Shown picture.
    pub icon: Option<Icon>,
    /// That life's revision that this is, so that an older notice doesn't undo a newer one.
    pub revision: u64,
    /// How the user stands in the group.
    pub standing: Standing,
}

impl Attendee {
    /// Which user this is, in which life.
    pub fn life(&self) -> UserLife {
        UserLife { id: self.id.clone(), uid: self.uid }
    }
}

impl From<AttendeeRecord> for Attendee {
    fn from(AttendeeRecord { user, standing }: AttendeeRecord) -> Self {
        let UserRecord { id, uid, profile, revision, .. } = user;
        Self { id, uid, name: profile.name, icon: profile.icon, revision, standing }
    }
}

/// Two lists of attendees: everyone, or who changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RosterView {
    /// Who is online, by id.
    pub on: Vec<Arc<Attendee>>,
    /// Who is not, by id. In a change this holds who was removed from the group, too.
    pub off: Vec<Arc<Attendee>>,
}

/// A change that the group is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// One more than the last one's.
    pub version: u64,
    /// How many are online.
    pub online: usize,
    /// Whether it holds everyone, and not only who changed.
    pub whole: bool,
    /// The group is so large that who changed interests nobody.
    pub count_only: bool,
    /// Who.
    pub view: RosterView,
}

/// When a roster is told whole, and how often.
#[derive(Debug, Clone, Copy)]
pub struct RosterPace {
    /// Attendees up to which a change is told as the whole roster.
    pub full_max: usize,
    /// Attendees up to which it is told who changed.
    pub delta_max: usize,
    /// The shortest time between two tellings, in milliseconds.
    pub interval_ms: u64,
}

#[derive(Debug)]
struct Member {
    attendee: Arc<Attendee>,
    sessions: usize,
    /// What the group was last told of this member; nothing yet for a new one.
    told: Option<Told>,
    /// Somebody was handed a roster that shows what the group wasn't told: it must be told how things stand.
    must_tell: bool,
}

/// How a member was last told, and whether online.
type Told = (Arc<Attendee>, bool);

impl Member {
    fn is(&self, user: &UserLife) -> bool {
        self.attendee.uid == user.uid
    }

    fn is_told(&self) -> bool {
        !self.must_tell
            && self.told.as_ref().is_some_and(|(told, online)| {
                *online == (self.sessions > 0)
                    && told.name == self.attendee.name
                    && told.icon == self.attendee.icon
                    && told.standing == self.attendee.standing
            })
    }
}

/// The attendees of one group.
#[derive(Debug)]
pub struct Roster {
    pace: RosterPace,
    members: BTreeMap<UserId, Member>,
    changed: BTreeSet<UserId>,
    /// Who was told of and has been removed since.
    gone: BTreeMap<UserId, Member>,
    told_ms: Option<u64>,
    /// How many are online.
    online: usize,
    /// Of the last telling.
    version: u64,
    /// Whether the last telling said only how many are online.
    told_count_only: bool,
}

impl Roster {
    /// A roster on which nobody is online.
    pub fn new(pace: RosterPace, attendees: impl IntoIterator<Item = Attendee>) -> Self {
        let members = attendees
            .into_iter()
            .map(|attendee| {
                let attendee = Arc::new(attendee);
                let told = Some((Arc::clone(&attendee), false));
                (attendee.id.clone(), Member { attendee, sessions: 0, told, must_tell: false })
            })
            .collect();
        Self {
            pace,
            members,
            changed: BTreeSet::new(),
            gone: BTreeMap::new(),
            told_ms: None,
            online: 0,
            version: 0,
            told_count_only: false,
        }
    }

    /// Whether this life of the user attends the group.
    pub fn attends(&self, user: &UserLife) -> bool {
        self.member(user).is_some()
    }

    /// Which life of the user attends the group, if one does.
    pub fn attending(&self, user: &UserId) -> Option<UserLife> {
        self.members.get(user).map(|member| UserLife { id: user.clone(), uid: member.attendee.uid })
    }

    /// An attendee as it is shown.
    pub fn attendee(&self, user: &UserId) -> Option<&Attendee> {
        self.members.get(user).map(|member| &*member.attendee)
    }

    /// How this life of a user stands, if it attends the group.
    pub fn standing(&self, user: &UserLife) -> Option<&Standing> {
        self.member(user).map(|member| &member.attendee.standing)
    }

    /// How many attend.
    pub fn attendees(&self) -> usize {
        self.members.len()
    }

    /// How many are online.
    pub fn online(&self) -> usize {
        self.online
    }

    /// The version of the last telling.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The first so many that are online, by id.
    pub fn first_online(&self, limit: usize) -> RosterView {
        let online = self.members.values().filter(|member| member.sessions > 0).take(limit);
        RosterView { on: online.map(|member| Arc::clone(&member.attendee)).collect(), off: Vec::new() }
    }

    /// How many sessions the user has in the group.
    pub fn sessions_of(&self, user: &UserLife) -> usize {
        self.member(user).map_or(0, |member| member.sessions)
    }

    /// Whether changes are told as such, and not as the whole roster.
    pub fn is_large(&self) -> bool {
        self.members.len() > self.pace.full_max
    }

    /// One more session of a user. Nothing happens for one who doesn't attend.
    pub fn enter(&mut self, user: &UserLife) {
        if let Some(member) = self.member_mut(user) {
            member.sessions += 1;
            let is_first = member.sessions == 1;
            self.online += usize::from(is_first);
            self.changed.insert(user.id.clone());
        }
    }

    /// One session less of a user.
    pub fn exit(&mut self, user: &UserLife) {
        if let Some(member) = self.member_mut(user) {
            let was_last = member.sessions == 1;
            member.sessions = member.sessions.saturating_sub(1);
            self.online -= usize::from(was_last);
            self.changed.insert(user.id.clone());
        }
    }

    /// Adds an attendee, or shows its new name and icon. Another life of the user is taken off first: its
    /// sessions and revisions are not the new one's.
    pub fn put(&mut self, attendee: Attendee) {
        let id = attendee.id.clone();
        if let Some(other) = self.attending(&id).filter(|other| other.uid != attendee.uid) {
            self.remove(&other);
        }
        match self.members.get_mut(&id) {
            Some(member) if member.attendee.revision > attendee.revision => return,
            Some(member) => member.attendee = Arc::new(attendee),
            None => {
                // Whoever is back before the group was told of the going has never been away.
                let (told, must_tell) =
                    self.gone.remove(&id).map_or((None, false), |was| (was.told, was.must_tell));
                let member = Member { attendee: Arc::new(attendee), sessions: 0, told, must_tell };
                self.members.insert(id.clone(), member);
            }
        }
        self.changed.insert(id);
    }

    /// Takes an attendee off the roster, with all its sessions. Another life of the user stays.
    pub fn remove(&mut self, user: &UserLife) {
        if !self.attends(user) {
            return;
        }
        self.changed.remove(&user.id);
        let Some(member) = self.members.remove(&user.id) else { return };
        self.online -= usize::from(member.sessions > 0);
        if member.told.is_some() || member.must_tell {
            self.gone.insert(user.id.clone(), member);
        }
    }

    /// Has an attendee told again as it is now: what is said of it depends on the time.
    pub fn tell_again(&mut self, user: &UserId) {
        if let Some(member) = self.members.get_mut(user) {
            member.must_tell = true;
            self.changed.insert(user.clone());
        }
    }

    /// Everyone, for somebody who comes in between two tellings. What it shows and the group wasn't told is told
    /// in the next one, even if it has changed back by then: whoever was handed it knows nothing of before.
    pub fn hand_out(&mut self) -> RosterView {
        self.must_tell_changes();
        self.whole()
    }

    /// The first so many that are online, likewise.
    pub fn hand_out_online(&mut self, limit: usize) -> RosterView {
        self.must_tell_changes();
        self.first_online(limit)
    }

    fn must_tell_changes(&mut self) {
        for id in &self.changed {
            if let Some(member) = self.members.get_mut(id) {
                member.must_tell = true;
            }
        }
        for member in self.gone.values_mut() {
            member.must_tell = true;
        }
    }

    /// Has everyone told how things stand, after a crash in which it was forgotten what they know. Who was shown as
    /// online and attends no longer is told of, too: only a small group would see it without.
    pub fn tell_all(&mut self, shown: impl IntoIterator<Item = Arc<Attendee>>) {
        self.changed.extend(self.members.keys().cloned());
        for member in self.members.values_mut() {
            member.must_tell = true;
        }
        for attendee in shown.into_iter().filter(|shown| !self.members.contains_key(&shown.id)) {
            let id = attendee.id.clone();
            self.gone.insert(id, Member { attendee, sessions: 0, told: None, must_tell: true });
        }
    }

    /// Everyone.
    pub fn whole(&self) -> RosterView {
        Self::view(self.members.values())
    }

    /// When [`Roster::poll`] has something to tell, on the monotonic clock. `None`: nothing changed.
    pub fn due_ms(&self) -> Option<u64> {
        let pending = !self.changed.is_empty() || !self.gone.is_empty();
        pending.then(|| self.told_ms.map_or(0, |told| told + self.pace.interval_ms))
    }

    /// What the group is to be told now, if anything.
    pub fn poll(&mut self, mono_ms: u64) -> Option<Telling> {
        if self.due_ms()? > mono_ms {
            return None;
        }
        let changed = std::mem::take(&mut self.changed);
        let gone = std::mem::take(&mut self.gone);
        let news: Vec<&UserId> =
            changed.iter().filter(|id| self.members.get(*id).is_some_and(|m| !m.is_told())).collect();
        if news.is_empty() && gone.is_empty() {
            return None;
        }
        let view = if self.is_large() {
            let mut view = Self::view(news.iter().filter_map(|id| self.members.get(*id)));
            view.off.extend(gone.into_values().map(|member| member.attendee));
            view
        } else {
            self.whole()
        };
        for id in changed {
            if let Some(member) = self.members.get_mut(&id) {
                member.told = Some((Arc::clone(&member.attendee), member.sessions > 0));
                member.must_tell = false;
            }
        }
        self.told_ms = Some(mono_ms);
        let (whole, count_only) = (!self.is_large(), self.members.len() > self.pace.delta_max);
        // Who was only told counts doesn't know to whom a delta adds: it finds a version missing, and asks.
        self.version += if self.told_count_only && !count_only { 2 } else { 1 };
        self.told_count_only = count_only;
        Some(Telling { version: self.version, online: self.online, whole, count_only, view })
    }

    fn member(&self, user: &UserLife) -> Option<&Member> {
        self.members.get(&user.id).filter(|member| member.is(user))
    }

    fn member_mut(&mut self, user: &UserLife) -> Option<&mut Member> {
        self.members.get_mut(&user.id).filter(|member| member.is(user))
    }

    fn view<'a>(members: impl Iterator<Item = &'a Member>) -> RosterView {
        let mut view = RosterView::default();
        for member in members {
            let list = if member.sessions > 0 { &mut view.on } else { &mut view.off };
            list.push(Arc::clone(&member.attendee));
        }
        view
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn attendee(id: &str) -> Attendee {
        let UserLife { id: user, uid } = user(id);
        Attendee {
            id: user,
            uid,
            name: Name::parse(id).unwrap(),
            icon: None,
            revision: 0,
            standing: Standing::default(),
        }
    }

    fn user(id: &str) -> UserLife {
        UserLife { id: UserId::parse(id).unwrap(), uid: UserUid(0) }
    }

    fn ids(list: &[Arc<Attendee>]) -> Vec<&str> {
        list.iter().map(|attendee| attendee.id.as_str()).collect()
    }

    fn roster(full_max: usize, names: &[&str]) -> Roster {
        Roster::new(
            RosterPace { full_max, delta_max: 5, interval_ms: 250 },
            names.iter().map(|name| attendee(name)),
        )
    }

    #[test]
    fn the_first_change_is_told_at_once_and_the_next_ones_together() {
        let mut roster = roster(250, &["alice", "bob", "carol"]);
        assert_eq!(roster.poll(0), None);
        roster.enter(&user("alice"));
        let told = roster.poll(1_000).unwrap().view;
        assert_eq!((ids(&told.on), ids(&told.off)), (vec!["alice"], vec!["bob", "carol"]));
        roster.enter(&user("bob"));
        roster.enter(&user("carol"));
        assert_eq!(roster.poll(1_100), None);
        assert_eq!(roster.due_ms(), Some(1_250));
        assert_eq!(ids(&roster.poll(1_250).unwrap().view.on), ["alice", "bob", "carol"]);
        assert_eq!(roster.due_ms(), None);
    }

    #[test]
    fn a_user_is_offline_when_the_last_session_goes() {
        let mut roster = roster(250, &["alice"]);
        roster.enter(&user("alice"));
        roster.enter(&user("alice"));
        roster.poll(0);
        roster.exit(&user("alice"));
        assert_eq!(roster.poll(1_000), None, "still one session");
        roster.exit(&user("alice"));
        assert_eq!(ids(&roster.poll(2_000).unwrap().view.off), ["alice"]);
    }

    #[test]
    fn a_version_is_missing_where_names_are_told_after_counts() {
        let names = ["a", "b", "c", "d", "e", "f"];
        let mut roster = roster(0, &names);
        let told = |roster: &mut Roster, at| {
            let telling = roster.poll(at).unwrap();
            (telling.version, telling.count_only)
        };
        roster.enter(&user("a"));
        assert_eq!(told(&mut roster, 0), (1, true), "six are more than five");
        roster.exit(&user("a"));
        assert_eq!(told(&mut roster, 1_000), (2, true));
        roster.remove(&user("f"));
        assert_eq!(told(&mut roster, 2_000), (4, false), "who knows only counts asks for a roster");
        roster.enter(&user("b"));
        assert_eq!(told(&mut roster, 3_000), (5, false));
    }

    #[test]
    fn who_was_removed_while_the_roster_was_forgotten_is_told_of() {
        let mut roster = roster(0, &["alice", "bob"]);
        roster.tell_all(["bob", "carol"].map(|id| Arc::new(attendee(id))));
        roster.enter(&user("alice"));
        let told = roster.poll(0).unwrap().view;
        assert_eq!((ids(&told.on), ids(&told.off)), (vec!["alice"], vec!["bob", "carol"]));
    }

    #[test]
    fn who_came_and_went_in_between_is_not_told() {
        let mut roster = roster(250, &["alice", "bob"]);
        roster.enter(&user("alice"));
        roster.poll(0);
        roster.enter(&user("bob"));
        roster.exit(&user("bob"));
        roster.remove(&user("alice"));
        roster.put(attendee("alice"));
        roster.enter(&user("alice"));
        assert_eq!(roster.poll(250), None, "alice is in as before, bob out as before");
    }

    #[test]
    fn a_large_group_is_told_who_changed() {
        let mut roster = roster(2, &["alice", "bob", "carol"]);
        roster.enter(&user("bob"));
        let told = roster.poll(0).unwrap().view;
        assert_eq!((ids(&told.on), ids(&told.off)), (vec!["bob"], vec![]));
        roster.put(attendee("dave"));
        roster.remove(&user("bob"));
        let told = roster.poll(250).unwrap().view;
        assert_eq!((ids(&told.on), ids(&told.off)), (vec![], vec!["dave", "bob"]));
    }

    #[test]
    fn a_new_name_is_told_and_an_older_notice_is_not() {
        let mut roster = roster(250, &["alice"]);
        let named =
            |name, revision| Attendee { name: Name::parse(name).unwrap(), revision, ..attendee("alice") };
        roster.put(named("Alice B.", 2));
        roster.put(named("Alice A.", 1));
        assert_eq!(roster.poll(0).unwrap().view.off[0].name.as_str(), "Alice B.");
        roster.put(named("Alice B.", 2));
        assert_eq!(roster.poll(1_000), None, "nothing new to show");
    }

    #[test]
    fn a_user_made_again_is_shown_and_outlives_its_older_life() {
        let mut roster = roster(250, &["alice"]);
        let (old, new) = (user("alice"), UserLife { uid: UserUid(7), ..user("alice") });
        roster.put(Attendee { revision: 5, ..attendee("alice") });
        roster.enter(&old);
        roster.poll(0);
        let again = Attendee { uid: new.uid, name: Name::parse("Alice II").unwrap(), ..attendee("alice") };
        roster.put(again);
        let told = roster.poll(250).unwrap().view;
        assert_eq!((ids(&told.on), told.off[0].name.as_str()), (vec![], "Alice II"), "revisions begin again");
        assert_eq!((roster.attends(&old), roster.sessions_of(&old), roster.sessions_of(&new)), (false, 0, 0));
        roster.enter(&new);
        roster.exit(&old);
        roster.remove(&old);
        assert_eq!((roster.attends(&new), roster.sessions_of(&new)), (true, 1));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Enter(u8),
        Exit(u8),
        Put(u8),
        /// Is put in a new life.
        PutAgain(u8),
        Remove(u8),
        /// The life before the present one is removed.
        RemoveOlder(u8),
        HandOut,
        Poll(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_u8..6).prop_map(Step::Enter),
            (0_u8..6).prop_map(Step::Exit),
            (0_u8..6).prop_map(Step::Put),
            (0_u8..6).prop_map(Step::PutAgain),
            (0_u8..6).prop_map(Step::Remove),
            (0_u8..6).prop_map(Step::RemoveOlder),
            Just(Step::HandOut),
            (0_u64..400).prop_map(Step::Poll),
        ]
    }

    /// What a client knows: who is online, and each one's name.
    type Seen = BTreeMap<UserId, (bool, Name)>;

    /// A client: one of version 1 is told names whatever happens, one of version 2 by versions, and not of a huge group.
    struct Follower {
        seen: Seen,
        version: Option<u64>,
    }

    impl Follower {
        fn new(roster: &mut Roster, is_v1: bool) -> Self {
            let version = (!is_v1).then(|| roster.version());
            let mut follower = Self { seen: Seen::new(), version };
            follower.sees(&roster.hand_out(), true);
            follower
        }

        fn sees(&mut self, view: &RosterView, whole: bool) {
            if whole {
                self.seen.clear();
            }
            self.seen.extend(view.off.iter().map(|a| (a.id.clone(), (false, a.name.clone()))));
            self.seen.extend(view.on.iter().map(|a| (a.id.clone(), (true, a.name.clone()))));
        }

        fn is_told(&mut self, told: &Telling, roster: &mut Roster) {
            let Some(version) = self.version.replace(told.version) else {
                self.version = None;
                return self.sees(&told.view, told.whole);
            };
            if told.whole || (!told.count_only && told.version == version + 1) {
                self.sees(&told.view, told.whole);
            } else if !told.count_only {
                // One is missing, so it asks.
                self.sees(&roster.hand_out(), true);
            }
        }
    }

    /// The present life of each user; every life has its own name and ever fewer revisions than the last.
    #[derive(Default)]
    struct Lives([u64; 6]);

    impl Lives {
        fn life(&self, id: u8) -> UserLife {
            UserLife { uid: UserUid(self.0[usize::from(id)]), ..user(&id.to_string()) }
        }

        fn older(&self, id: u8) -> UserLife {
            let life = self.life(id);
            UserLife { uid: UserUid(life.uid.0.wrapping_sub(1)), ..life }
        }

        fn next(&mut self, id: u8) {
            self.0[usize::from(id)] += 1;
        }

        fn attendee(&self, id: u8) -> Attendee {
            let UserLife { id, uid } = self.life(id);
            let name = Name::parse(&format!("{id} {}", uid.0)).unwrap();
            Attendee { id, uid, name, icon: None, revision: 1_000 - uid.0, standing: Standing::default() }
        }
    }

    proptest! {
        /// Clients that follow the tellings, whole or changes, from whenever they were handed the roster, end
        /// with the roster's own truth.
        #[test]
        fn followers_end_with_the_truth(full_max in 0_usize..8, steps in prop::collection::vec(step(), 0..120)) {
            let mut roster = roster(full_max, &["0", "1", "2"]);
            let mut followers = vec![Follower::new(&mut roster, true), Follower::new(&mut roster, false)];
            let (mut now, mut tellings, mut lives) = (0, 0_u64, Lives::default());
            for step in steps.into_iter().chain([Step::Poll(1_000)]) {
                match step {
                    Step::Enter(id) => roster.enter(&lives.life(id)),
                    Step::Exit(id) => roster.exit(&lives.life(id)),
                    Step::Put(id) => roster.put(lives.attendee(id)),
                    Step::PutAgain(id) => {
                        lives.next(id);
                        roster.put(lives.attendee(id));
                    }
                    Step::Remove(id) => roster.remove(&lives.life(id)),
                    Step::RemoveOlder(id) => {
                        let before = roster.sessions_of(&lives.life(id));
                        roster.remove(&lives.older(id));
                        prop_assert_eq!(roster.sessions_of(&lives.life(id)), before);
                    }
                    Step::HandOut => {
                        followers.extend([true, false].map(|is_v1| Follower::new(&mut roster, is_v1)));
                    }
                    Step::Poll(wait) => {
                        now += wait;
                        if let Some(told) = roster.poll(now) {
                            tellings += 1;
                            prop_assert!(told.version >= tellings);
                            let online = roster.members.values().filter(|member| member.sessions > 0).count();
                            prop_assert_eq!(told.online, online);
                            followers.iter_mut().for_each(|follower| follower.is_told(&told, &mut roster));
                        }
                    }
                }
            }
            prop_assert!(tellings <= now / 250 + 1, "at most four a second");
            let is_huge = roster.attendees() > roster.pace.delta_max;
            // Of a huge group version 2 knows only how many are online.
            for Follower { seen, .. } in followers.into_iter().filter(|it| it.version.is_none() || !is_huge) {
                for member in roster.members.values() {
                    let shown = (member.sessions > 0, member.attendee.name.clone());
                    prop_assert_eq!(seen.get(&member.attendee.id), Some(&shown));
                }
                for (id, (online, _)) in seen {
                    let sessions = roster.attending(&id).map_or(0, |life| roster.sessions_of(&life));
                    prop_assert!(!online || sessions > 0, "{} isn't online", id);
                }
            }
        }
    }
}
