//! Work that may take as long as others like, with Ctrl-C to end it at any time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// How soon after Ctrl-C it ends.
const LOOK: Duration = Duration::from_millis(50);

enum Word<News, Done> {
    News(News),
    Done(Done),
}

/// What a thread on an errand tells on its way.
pub(crate) struct Messenger<News, Done>(Sender<Word<News, Done>>);

impl<News, Done> Messenger<News, Done> {
    /// Says how far it is.
    pub(crate) fn tell(&self, news: News) {
        // Whoever was interrupted doesn't listen any more.
        let _ = self.0.send(Word::News(news));
    }
}

/// Does work on a thread of its own. `None` when it was interrupted.
pub(crate) fn unless_interrupted<News: Send + 'static, Done: Send + 'static>(
    interrupted: &AtomicBool,
    work: impl FnOnce(&Messenger<News, Done>) -> Done + Send + 'static,
    hear: impl FnMut(News),
) -> Option<Done> {
    unless(|| interrupted.load(Ordering::Relaxed), work, hear)
}

/// Does work on a thread of its own. `None` when it was enough before that was done: the thread is left to the end of
/// the process, whatever it waits for.
pub(crate) fn unless<News: Send + 'static, Done: Send + 'static>(
    is_enough: impl Fn() -> bool,
    work: impl FnOnce(&Messenger<News, Done>) -> Done + Send + 'static,
    mut hear: impl FnMut(News),
) -> Option<Done> {
    let (sender, words) = mpsc::channel();
    let messenger = Messenger(sender);
    thread::spawn(move || {
        let done = work(&messenger);
        let _ = messenger.0.send(Word::Done(done));
    });
    while !is_enough() {
        match words.recv_timeout(LOOK) {
            Ok(Word::News(news)) => hear(news),
            Ok(Word::Done(done)) => return Some(done),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_heard_and_the_result_is_given() {
        let mut heard = Vec::new();
        let work = |messenger: &Messenger<u32, &str>| {
            messenger.tell(1);
            messenger.tell(2);
            "done"
        };
        assert_eq!(unless_interrupted(&AtomicBool::new(false), work, |news| heard.push(news)), Some("done"));
        assert_eq!(heard, [1, 2]);
    }

    #[test]
    fn what_never_ends_can_be_interrupted() {
        let endless = |_: &Messenger<(), ()>| loop {
            thread::park();
        };
        assert_eq!(unless_interrupted(&AtomicBool::new(true), endless, |()| {}), None);
    }
}
