//! The group's state machine: what it costs to decide.
#![allow(missing_docs)]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use engine::config::Limits;
use engine::domain::Now;
use engine::domain::attendance::Standing;
use engine::domain::event::{Head, Message};
use engine::domain::group::{Command, Group, Speaker};
use engine::domain::ids::{SessionId, UserId, UserLife, UserUid};
use engine::domain::profile::Name;
use engine::domain::roster::Attendee;

fn group(attendees: u64) -> Group {
    let attendees = (0..attendees).map(|number| Attendee {
        id: user(number).id,
        uid: UserUid(number),
        name: Name::parse(&format!("User {number}")).expect("a valid name"),
        icon: None,
        revision: 0,
        standing: Standing::default(),
    });
    Group::new(Head::default(), attendees, [], Limits::default().group_rules(), at(0))
}

fn user(number: u64) -> UserLife {
    UserLife { id: UserId::parse(&format!("user-{number}")).expect("a valid id"), uid: UserUid(number) }
}

fn at(ms: u64) -> Now {
    Now { unix_ms: ms, mono_ms: ms }
}

fn decisions(criterion: &mut Criterion) {
    let say = Command::Say {
        speaker: Speaker::Session(SessionId(1)),
        message: Message::plain("x".repeat(100)),
        sent: None,
        answers_known: true,
        marks: true,
    };
    criterion.bench_function("group: take a message", |bencher| {
        let mut group = group(1_000);
        group.handle(Command::Join { session: SessionId(1), user: user(1) }, at(0)).expect("attends");
        bencher.iter_batched(
            || say.clone(),
            |say| {
                let effects = group.handle(say, at(1));
                // As when the store keeps up.
                group.settle(group.head().seq);
                effects
            },
            BatchSize::SmallInput,
        );
    });
    criterion.bench_function("group: 1,000 joins and their telling", |bencher| {
        bencher.iter_batched(
            || group(1_000),
            |mut group| {
                for number in 0..1_000 {
                    let join = Command::Join { session: SessionId(number), user: user(number) };
                    group.handle(join, at(number / 10)).expect("attends");
                }
                group.handle(Command::Tick, at(1_000))
            },
            BatchSize::LargeInput,
        );
    });
}

criterion_group!(benches, decisions);
criterion_main!(benches);
