//! Sockets that are held and say nothing.

use super::{DURATION, GROUPS, PROTOCOL, Scenario};
use crate::plan::{End, Plan};
use crate::settings::{Settings, SettingsError, key};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "idle",
    about: "Sockets that are held and say nothing: memory and CPU of a connection",
    more: "\
What is told of memory is what the server's process grew by since before the first socket, so start it afresh; and it \
must be on this machine, or there is nothing to tell.

  kijimuna-loadtest idle --sockets 15000 --groups 150 --duration 60s
  kijimuna-loadtest idle --sockets 50000 --workers 3 --pid 4711",
    keys: &[key("sockets", "NUMBER", Some("1000"), "Sockets to hold, all together"), GROUPS, PROTOCOL, DURATION],
    make,
};

fn make(settings: &Settings) -> Result<Plan, SettingsError> {
    Ok(Plan {
        groups: super::spread(settings.count("sockets", 1)?, settings.count("groups", 1)?),
        warmup_ns: settings.time_ns("warmup")?,
        end: End::After { ns: settings.time_ns("duration")? },
        ..Plan::default()
    })
}
