//! All join at once.

use super::{PROTOCOL, Scenario};
use crate::plan::{End, Plan};
use crate::settings::{Settings, SettingsError, key};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "join-storm",
    about: "All join as fast as they are taken: joins a second, time until roster and history are there",
    more: "\
A join is a token, a connection, the upgrade, the roster and the newest messages (in version 2 the welcome, and the newest \
messages when they were asked for). Its time counts from when a member first \
asks for its token, which is its turn within --concurrency, until all of that is there: being held back (429), failures, \
the waits after them and every further try are in it. The run ends when all are in. Everybody is made over REST before, which isn't measured. When the server holds \
requests back (429), joins wait and the rate is the server's KIJIMUNA_REST_RATE: start it with 0 to measure the engine.

  kijimuna-loadtest join-storm --joins 5000                   # one group of 5,000
  kijimuna-loadtest join-storm --joins 15000 --groups 150 --concurrency 1000",
    keys: &[
        key("joins", "NUMBER", Some("1000"), "Members that join, all together"),
        key("groups", "NUMBER", Some("1"), "Groups that they join"),
        PROTOCOL,
    ],
    make,
};

fn make(settings: &Settings) -> Result<Plan, SettingsError> {
    Ok(Plan {
        groups: super::spread(settings.count("joins", 1)?, settings.count("groups", 1)?),
        end: End::Joined,
        ..Plan::default()
    })
}
