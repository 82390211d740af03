//! What packages have beside the binary, from the definitions of its commands: completions for shells, and manual pages.

use std::io::{self, Write as _};
use std::path::Path;

use clap::Command;
use clap_complete::Shell;

/// Prints what completes the commands in a shell.
pub(super) fn print_completions(mut command: Command, shell: Shell) -> io::Result<()> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    let mut out = io::stdout();
    out.write_all(&script).and_then(|()| out.flush())
}

/// Writes a manual page for the binary, and one for each of its commands, to a folder.
pub(super) fn write_pages(command: Command, folder: &Path) -> io::Result<()> {
    clap_mangen::generate_to(command.disable_help_subcommand(true), folder)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))
}
