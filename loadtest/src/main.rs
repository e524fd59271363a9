//! Drives a running server over its public API: one group, some members, one of whom says something and waits
//! until all have heard it, again and again. Any message that is lost, twice or out of order ends the run.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use clap::{Arg, ArgMatches, Command, value_parser};
use engine::testkit::{Chatter, World};

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments = command().get_matches();
    let url = arguments.get_one::<String>("url").expect("it has a default");
    let (members, messages) = (number(&arguments, "members"), number(&arguments, "messages"));
    let mut chatters = gather(url, members).await;
    let started = Instant::now();
    let mut times = talk(&mut chatters, messages).await;
    let took = started.elapsed();
    times.sort();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    let deliveries = members * messages;
    writeln!(
        io::stdout(),
        "{deliveries} deliveries in {took:.2?}: {:.0}/s; until all {members} had heard a message: p50 {:.2?}, p99 {:.2?}, most {:.2?}",
        deliveries as f64 / took.as_secs_f64(),
        at(50),
        at(99),
        at(100),
    )
}

fn command() -> Command {
    let count = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .default_value(default)
            .value_parser(value_parser!(u16).range(1..))
            .help(help)
    };
    Command::new("kijimuna-loadtest")
        .about("Drives a running Kijimuna server. Start it with --send-rate 0, or it will refuse the load")
        .arg(Arg::new("url").long("url").default_value("http://127.0.0.1:3010").help("The server"))
        .arg(count("members", "100", "Members of the group, each with a socket"))
        .arg(count("messages", "500", "Messages to say, one after the other"))
}

fn number(arguments: &ArgMatches, name: &str) -> usize {
    usize::from(*arguments.get_one::<u16>(name).expect("it has a default"))
}

async fn gather(url: &str, members: usize) -> Vec<Chatter> {
    let world = World::at(url).await;
    world.has_group("load").await;
    let mut chatters = Vec::with_capacity(members);
    for member in 0..members {
        chatters.push(world.person(&format!("member {member}")).await.joins("load").await);
    }
    chatters
}

async fn talk(chatters: &mut [Chatter], messages: usize) -> Vec<Duration> {
    let mut times = Vec::with_capacity(messages);
    let filler = "x".repeat(90);
    for message in 0..messages {
        let text = format!("{message:010}{filler}");
        let said = Instant::now();
        let speaker = message % chatters.len();
        chatters[speaker].says(&text).await;
        for chatter in chatters.iter_mut() {
            chatter.hears(&text).await;
        }
        times.push(said.elapsed());
    }
    times
}
