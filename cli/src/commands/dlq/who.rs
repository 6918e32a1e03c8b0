//! Who does it, and why: what the audit journal wants to know.

use crate::CliError;
use crate::commands::words;

/// Who and why.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct WhoArgs {
    /// Who decides it [default: the user's name]
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Why: it is kept in the audit journal
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

impl WhoArgs {
    /// Both, for what is written.
    pub(super) fn said(self) -> Result<(String, String), CliError> {
        let why = self.why.ok_or_else(|| {
            CliError::Usage("say why with --why TEXT: it is kept in the audit journal".to_owned())
        })?;
        let name = || ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
        let who = self.who.or_else(name).filter(|name| !name.is_empty()).ok_or_else(|| {
            CliError::Usage("say who decides it with --who NAME: the system does not tell a name".to_owned())
        })?;
        words("who", &who)?;
        words("why", &why)?;
        Ok((who, why))
    }
}
