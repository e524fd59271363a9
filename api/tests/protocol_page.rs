//! The protocol page says what the code does: its tables are the code's.
#![allow(missing_docs)]

use engine::config::Limits;
use engine::protocol::code::{CloseCode, ErrorCode};

const PAGE: &str = include_str!("../docs/protocol.md");

#[test]
fn the_page_has_every_error_code() {
    for code in ErrorCode::ALL {
        let again = if code.retryable { "yes" } else { "no" };
        let row = format!("| `{}` | {} | {again} | {} |", code.word, code.status, code.meaning);
        assert!(PAGE.contains(&row), "missing or different: {row}");
    }
}

#[test]
fn the_page_has_every_close_code() {
    for code in CloseCode::ALL {
        let row = format!("| {} | {} | {} |", code.number, code.reason, code.meaning);
        assert!(PAGE.contains(&row), "missing or different: {row}");
    }
}

#[test]
fn the_page_has_the_limits_that_clients_meet() {
    let limits = Limits::default();
    for text in [
        format!("the newest {} messages", limits.history_items_default),
        format!("at most {} messages ({} when", limits.history_items_max, limits.history_items_default),
        format!("at most {} KiB, unless", limits.history_bytes_max / 1024),
        format!("more than {} MiB waits", limits.outbound_bytes_max / 1024 / 1024),
        format!("{} s while something waits", limits.write_stall_ms / 1_000),
        format!("reads again within {} s", limits.close_linger_ms / 1_000),
        format!("{} messages a second after a burst of {}", limits.send_rate_per_s, limits.send_burst),
        format!("text over {} KiB", limits.message_bytes_max / 1024),
        format!("over {} KiB closes with 4502", limits.frame_bytes_max / 1024),
        format!("silent for {} s is pinged", limits.ping_interval_ms / 1_000),
        format!("within {} s", limits.token_ttl_ms / 1_000),
    ] {
        assert!(PAGE.contains(&text), "missing or different: {text}");
    }
}
