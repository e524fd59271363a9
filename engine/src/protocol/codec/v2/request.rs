//! What a client asks for, out of what stands in its frame.

use std::borrow::Cow;

use super::custom;
use super::tree::{Tree, malformed};
use crate::domain::event::ModerationOp;
use crate::domain::ids::{ClientId, GroupId, MessageId, ReactionKey, Seq, UserId};
use crate::domain::profile::{Change, Custom};
use crate::protocol::action;
use crate::protocol::code::ErrorCode;
use crate::protocol::codec::{invalid, no_message, whole};
use crate::protocol::frame::{Ask, PageEdge, Post, Refusal, Request, ResumePoint, Unreadable};

/// Makes sense of a frame. A refusal carries what could be read of it, so that the client knows what was refused.
pub(super) fn read(tree: Tree<'_>) -> Result<Request<'_>, Unreadable> {
    let mut known = Known::default();
    match known.read(tree) {
        Ok(ask) => Ok(Request { r: known.r, group: known.group, ask }),
        Err(refusal) => {
            let Known { r, group, client_id } = known;
            Err(Unreadable { r, group, client_id, refusal })
        }
    }
}

/// What a refusal says of the frame, too.
#[derive(Default)]
struct Known {
    r: Option<u32>,
    group: Option<GroupId>,
    client_id: Option<ClientId>,
}

impl Known {
    /// Reads a frame. Whatever of `r`, `g` and `ci` is good is known from here on, even if another one isn't.
    fn read<'a>(&mut self, tree: Tree<'a>) -> Result<Ask<'a>, Refusal> {
        let Tree::Map(entries) = tree else {
            return Err(malformed("the frame is not a map {\"a\", \"d\"} with texts as keys"));
        };
        let mut frame = Fields { place: "", entries };
        let r = frame.r().map(|r| self.r = r);
        let mut data = frame.data()?;
        let group = data.group().map(|group| self.group = group);
        let client_id = data.client_id().map(|client_id| self.client_id = client_id);
        r.and(group)?;
        let action = frame.whole("a")?.ok_or_else(|| frame.invalid("a", "must be an action's number"))?;
        if action == action::MESSAGE {
            client_id?;
            return data.post(self.client_id.clone());
        }
        data.ask(action)
    }
}

/// The fields of a map. Each is taken out when it is read.
struct Fields<'a> {
    /// Where the map stands, as a refusal names it.
    place: &'static str,
    entries: Vec<(Cow<'a, str>, Tree<'a>)>,
}

/// What stands in a frame beside its data.
impl<'a> Fields<'a> {
    fn r(&mut self) -> Result<Option<u32>, Refusal> {
        let rule = "must be a whole number from 0 to 4294967295";
        let number = self.whole("r")?;
        number.map(|number| u32::try_from(number).map_err(|_| self.invalid("r", rule))).transpose()
    }

    fn data(&mut self) -> Result<Fields<'a>, Refusal> {
        let entries = match self.present("d")? {
            None => Vec::new(),
            Some(Tree::Map(entries)) => entries,
            Some(_) => return Err(self.invalid("d", "must be a map with texts as keys")),
        };
        Ok(Fields { place: "d.", entries })
    }
}

/// What each action asks for.
impl<'a> Fields<'a> {
    fn group(&mut self) -> Result<Option<GroupId>, Refusal> {
        self.parsed("g", "must be a group's id", |text| GroupId::parse(text).ok())
    }

    fn client_id(&mut self) -> Result<Option<ClientId>, Refusal> {
        self.parsed("ci", "must be a text of 1 to 64 characters, none a control character", ClientId::parse)
    }

    /// Everything but messages.
    fn ask(&mut self, action: u64) -> Result<Ask<'a>, Refusal> {
        match action {
            action::ROSTER => Ok(Ask::Roster),
            action::HISTORY => self.history(),
            action::EDIT => self.edit(),
            action::DELETE => Ok(Ask::Delete { id: self.message()? }),
            action::REACTION => self.reaction(),
            action::MARKER => self.marker(),
            action::TYPING => self.typing(),
            action::EPHEMERAL => self.ephemeral(),
            action::RESUME => self.resume_point().and_then(|point| {
                point.map(Ask::Resume).ok_or_else(|| self.invalid("ep", "must be the epoch of a welcome"))
            }),
            action::JOIN => self.join(),
            action::INBOX => Ok(Ask::Inbox { limit: self.limit()? }),
            action::MODERATION => self.moderation(),
            other => Err(Refusal::new(
                ErrorCode::UNKNOWN_ACTION,
                format!("a client can't ask for action {other}: 1 to 3, 7 to 16 are what it can ask for"),
            )),
        }
    }

    fn post(&mut self, client_id: Option<ClientId>) -> Result<Ask<'a>, Refusal> {
        let text = self.text("m")?.ok_or_else(|| self.invalid("m", "must be the message's text"))?;
        Ok(Ask::Post(Post {
            text,
            client_id,
            again: self.flag("re")?.unwrap_or(false),
            reply_to: self.message_id("rp")?,
            custom: self.present("x")?.map(|tree| self.custom(tree)).transpose()?,
        }))
    }

    fn history(&mut self) -> Result<Ask<'a>, Refusal> {
        let before = self.edge("b", PageEdge::BeforeSeq, PageEdge::BeforeId)?;
        let after = self.edge("af", PageEdge::AfterSeq, PageEdge::AfterId)?;
        if before.is_some() && after.is_some() {
            return Err(self.invalid("b", "can't stand with d.af: a page has one edge"));
        }
        Ok(Ask::History { edge: before.or(after).unwrap_or(PageEdge::Newest), limit: self.limit()? })
    }

    fn edit(&mut self) -> Result<Ask<'a>, Refusal> {
        let id = self.message()?;
        let text = self.text("m")?;
        let custom = match self.take("x")? {
            None => Change::Keep,
            Some(Tree::Null) => Change::Clear,
            Some(tree) => Change::Set(self.custom(tree)?),
        };
        if text.is_none() && custom == Change::Keep {
            return Err(self.invalid("m", "or d.x must be there: what the message becomes"));
        }
        Ok(Ask::Edit { id, text, custom })
    }

    fn reaction(&mut self) -> Result<Ask<'a>, Refusal> {
        let id = self.message()?;
        let rule = "must be a text of 1 to 32 bytes, without control characters";
        let key = self.parsed("k", rule, ReactionKey::parse)?.ok_or_else(|| self.invalid("k", rule))?;
        let set = self.required("op", "must be add or remove", |word| match word {
            "add" => Some(true),
            "remove" => Some(false),
            _ => None,
        })?;
        Ok(Ask::React { id, key, set })
    }

    fn marker(&mut self) -> Result<Ask<'a>, Refusal> {
        let (read, received) = (self.seq("rd")?, self.seq("rc")?);
        if read.is_none() && received.is_none() {
            return Err(self.invalid("rd", "or d.rc must be there: a sequence"));
        }
        Ok(Ask::Mark { read, received })
    }

    fn typing(&mut self) -> Result<Ask<'a>, Refusal> {
        let on = self.flag("k")?.ok_or_else(|| self.invalid("k", "must be true or false"))?;
        Ok(Ask::Typing { on })
    }

    fn ephemeral(&mut self) -> Result<Ask<'a>, Refusal> {
        let tree = self.take("x")?.ok_or_else(|| self.invalid("x", "must be there, any value"))?;
        let to = self.parsed("to", "must be a user's id", |text| UserId::parse(text).ok())?;
        Ok(Ask::Ephemeral { custom: self.custom(tree)?, to })
    }

    fn join(&mut self) -> Result<Ask<'a>, Refusal> {
        let joins = self.required("op", "must be join or leave", |word| match word {
            "join" => Some(true),
            "leave" => Some(false),
            _ => None,
        })?;
        Ok(if joins { Ask::Join { resume: self.resume_point()? } } else { Ask::Leave })
    }

    fn moderation(&mut self) -> Result<Ask<'a>, Refusal> {
        let op =
            self.required("op", "must be one of mute, unmute, kick, ban and unban", ModerationOp::parse)?;
        let user = self.required("u", "must be a user's id", |text| UserId::parse(text).ok())?;
        let until_ms = self.whole("until")?;
        if until_ms.is_some() && !op.may_end() {
            return Err(self.invalid("until", "is for mute and ban alone"));
        }
        Ok(Ask::Moderate { op, user, until_ms })
    }
}

/// Fields that stand in several actions.
impl<'a> Fields<'a> {
    fn message(&mut self) -> Result<MessageId, Refusal> {
        self.message_id("i")?.ok_or_else(|| self.invalid("i", "must be a message's id"))
    }

    fn message_id(&mut self, name: &'static str) -> Result<Option<MessageId>, Refusal> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        MessageId::parse(&text).map(Some).ok_or_else(|| no_message(&self.path(name)))
    }

    fn seq(&mut self, name: &'static str) -> Result<Option<Seq>, Refusal> {
        Ok(self.whole(name)?.map(Seq))
    }

    fn limit(&mut self) -> Result<Option<usize>, Refusal> {
        match self.whole("l")? {
            Some(0) => Err(self.invalid("l", "must be a whole number from 1 to 100")),
            limit => Ok(limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))),
        }
    }

    /// An edge of a page: a sequence or a message's id.
    fn edge(
        &mut self,
        name: &'static str,
        of_seq: fn(Seq) -> PageEdge,
        of_id: fn(MessageId) -> PageEdge,
    ) -> Result<Option<PageEdge>, Refusal> {
        match self.present(name)? {
            None => Ok(None),
            Some(Tree::Text(text)) => {
                MessageId::parse(&text).map(of_id).map(Some).ok_or_else(|| no_message(&self.path(name)))
            }
            Some(tree) => match number(&tree) {
                Some(seq) => Ok(Some(of_seq(Seq(seq)))),
                None => Err(self.invalid(name, "must be a sequence or a message's id")),
            },
        }
    }

    /// Up to where a log was seen. Its two fields stand together.
    fn resume_point(&mut self) -> Result<Option<ResumePoint>, Refusal> {
        match (self.text("ep")?, self.seq("s")?) {
            (None, None) => Ok(None),
            (Some(epoch), Some(seq)) => Ok(Some(ResumePoint { epoch: epoch.into_owned(), seq })),
            (None, Some(_)) => Err(self.invalid("ep", "must be the epoch of a welcome")),
            (Some(_), None) => Err(self.invalid("s", "must be the last sequence that was seen")),
        }
    }

    fn custom(&self, tree: Tree<'_>) -> Result<Custom, Refusal> {
        custom::read(tree).map_err(|rule| self.invalid("x", &rule))
    }
}

/// Fields of each type.
impl<'a> Fields<'a> {
    /// A field with whatever stands in it.
    fn take(&mut self, name: &'static str) -> Result<Option<Tree<'a>>, Refusal> {
        let Some(index) = self.entries.iter().position(|(key, _)| key == name) else { return Ok(None) };
        let (_, tree) = self.entries.swap_remove(index);
        if self.entries.iter().any(|(key, _)| key == name) {
            return Err(self.invalid(name, "must stand there once"));
        }
        Ok(Some(tree))
    }

    /// A field, unless it is absent or null.
    fn present(&mut self, name: &'static str) -> Result<Option<Tree<'a>>, Refusal> {
        Ok(self.take(name)?.filter(|tree| *tree != Tree::Null))
    }

    fn text(&mut self, name: &'static str) -> Result<Option<Cow<'a, str>>, Refusal> {
        match self.present(name)? {
            None => Ok(None),
            Some(Tree::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.invalid(name, "must be a text")),
        }
    }

    fn flag(&mut self, name: &'static str) -> Result<Option<bool>, Refusal> {
        match self.present(name)? {
            None => Ok(None),
            Some(Tree::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(self.invalid(name, "must be true or false")),
        }
    }

    fn whole(&mut self, name: &'static str) -> Result<Option<u64>, Refusal> {
        let Some(tree) = self.present(name)? else { return Ok(None) };
        let rule = "must be a whole number that isn't negative";
        number(&tree).map(Some).ok_or_else(|| self.invalid(name, rule))
    }

    /// A text that keeps a rule.
    fn parsed<T>(
        &mut self,
        name: &'static str,
        rule: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        match self.present(name)? {
            None => Ok(None),
            Some(Tree::Text(text)) => parse(&text).map(Some).ok_or_else(|| self.invalid(name, rule)),
            Some(_) => Err(self.invalid(name, rule)),
        }
    }

    /// A text that keeps a rule and must be there.
    fn required<T>(
        &mut self,
        name: &'static str,
        rule: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Refusal> {
        self.parsed(name, rule, parse)?.ok_or_else(|| self.invalid(name, rule))
    }

    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.place)
    }

    fn invalid(&self, name: &str, rule: &str) -> Refusal {
        invalid(&self.path(name), rule)
    }
}

/// A whole number that isn't negative, as an integer or as a float without a fraction.
fn number(tree: &Tree<'_>) -> Option<u64> {
    match tree {
        Tree::Whole(number) => Some(*number),
        Tree::Float(number) => whole(*number),
        _ => None,
    }
}
