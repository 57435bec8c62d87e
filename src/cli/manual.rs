//! `klamm completions` and `klamm man`: completion scripts and manual pages, made from the command line's
//! own definition.

use super::{CliError, command_line};
use clap_complete::Shell;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Flags of `klamm completions`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  klamm completions bash > \
    ~/.local/share/bash-completion/completions/klamm\n  klamm completions zsh > \
    ~/.zfunc/_klamm\n  klamm completions fish > ~/.config/fish/completions/klamm.fish")]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Flags of `klamm man`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  klamm man | man -l -\n  klamm man /usr/local/share/man/man1")]
pub struct Man {
    /// Directory for the pages of all subcommands; without it, the page of klamm is printed
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Prints a completion script.
pub fn completions(c: &Completions) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(c.shell, &mut command_line(), "klamm", &mut script);
    io::stdout().write_all(&script)?;
    Ok(())
}

/// Prints one page, or writes all.
pub fn man(m: &Man) -> Result<(), CliError> {
    let Some(directory) = &m.directory else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command_line()).render(&mut page)?;
        io::stdout().write_all(&page)?;
        return Ok(());
    };
    let failed = |path: &Path| {
        let name = path.display().to_string();
        move |e: io::Error| CliError::Io(format!("{name}: {e}"))
    };
    fs::create_dir_all(directory).map_err(failed(directory))?;
    clap_mangen::generate_to(command_line(), directory).map_err(failed(directory))?;
    let pages = fs::read_dir(directory).map_err(failed(directory))?.flatten();
    let pages = pages.filter(|page| {
        let name = page.file_name();
        name.to_str().is_some_and(|n| n.starts_with("klamm") && n.ends_with(".1"))
    });
    writeln!(io::stdout(), "{} pages in {}", pages.count(), directory.display())?;
    Ok(())
}
