//! What keeps a run from beginning or from being told of: a sentence that says what to do, and the exit status.

use std::fmt;
use std::process::ExitCode;

use crate::settings::SettingsError;
use crate::target::TargetError;

/// What went wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// A flag or a scenario file asks for what can't be.
    Asked(String),
    /// The machine or the deployment is in the way.
    Met(String),
}

impl Trouble {
    /// 2 for what is to be asked for otherwise, 1 for all else.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Asked(_) => ExitCode::from(2),
            Self::Met(_) => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Asked(sentence) | Self::Met(sentence)) = self;
        f.write_str(sentence)
    }
}

impl From<SettingsError> for Trouble {
    fn from(error: SettingsError) -> Self {
        Self::Asked(error.to_string())
    }
}

impl From<TargetError> for Trouble {
    fn from(error: TargetError) -> Self {
        Self::Asked(error.to_string())
    }
}

/// A sentence about what was met.
impl From<String> for Trouble {
    fn from(sentence: String) -> Self {
        Self::Met(sentence)
    }
}
