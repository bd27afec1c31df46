//! What `fit --checkpoint` keeps, and what `unmixel resume` goes on from.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use unmixel::rooms::fit::Pass;
use unmixel::rooms::unmixing::{Block, Checkpoint};
use unmixel::{Error, Fit, Result, Unmixing};

/// The command that is gone on with.
const COMMAND: &str = "resume.json";
/// A fit under way.
const RUN: &str = "run.unmixel";
/// A fit that is done, before all pixels have their abundances.
const FIT: &str = "fit.unmixel";
/// Between the first row of a block and the one after its last.
const ROWS: &str = "rows-";
const END: &str = ".unmixel";

/// A folder of checkpoints.
pub struct Kept {
    folder: PathBuf,
    every: Duration,
}

#[derive(Serialize, Deserialize)]
struct Command {
    unmixel: String,
    /// The folder that relative paths start from.
    directory: PathBuf,
    /// All after the program's name.
    arguments: Vec<String>,
}

impl Kept {
    /// Begins a folder of checkpoints for the command that runs.
    ///
    /// # Errors
    /// [`Error::File`] where the folder has checkpoints already, or other files.
    pub fn begin(folder: &Path, every: Duration) -> Result<Self> {
        let fail = |error| Error::io(folder, error);
        if folder.join(COMMAND).exists() {
            return Err(Error::file(
                folder,
                format!(
                    "holds the checkpoints of another run; go on with it by `unmixel resume {}`, \
                     or remove the folder",
                    folder.display()
                ),
            ));
        }
        std::fs::create_dir_all(folder).map_err(fail)?;
        let names = names(folder)?;
        if names.iter().any(|name| !is_part(name)) {
            return Err(Error::file(folder, "holds other files; name a folder of its own"));
        }
        let arguments: Option<Vec<String>> =
            std::env::args_os().skip(1).map(|part| part.into_string().ok()).collect();
        let Some(arguments) = arguments else {
            return Err(Error::option(
                "--checkpoint",
                "the command holds a name that is no text (UTF-8), and cannot be kept",
            ));
        };
        let directory = std::env::current_dir().map_err(fail)?;
        let unmixel = env!("CARGO_PKG_VERSION").to_owned();
        let command = Command { unmixel, directory, arguments };
        let text = serde_json::to_vec_pretty(&command).map_err(|error| fail(error.into()))?;
        // Whole or not at all.
        let (part, path) = (folder.join(format!("{COMMAND}.part")), folder.join(COMMAND));
        std::fs::File::create(&part)
            .and_then(|mut file| {
                file.write_all(&text)?;
                file.sync_all()
            })
            .and_then(|()| std::fs::rename(&part, &path))
            .map_err(fail)?;
        Ok(Kept { folder: folder.to_owned(), every })
    }

    /// The folder of a command that is gone on with.
    pub fn again(folder: &Path, every: Duration) -> Self {
        Kept { folder: folder.to_owned(), every }
    }

    /// Goes to the folder that the command was given in; its words, without the program's name.
    ///
    /// # Errors
    /// [`Error::File`] where there is nothing to go on with, or it is another version's.
    pub fn command(folder: &Path) -> Result<Vec<String>> {
        let path = folder.join(COMMAND);
        if !path.is_file() {
            return Err(Error::file(
                folder,
                "holds no checkpoints: `fit --checkpoint` writes them, and removes them when it is \
                 done",
            ));
        }
        let text = std::fs::read(&path).map_err(|error| Error::io(&path, error))?;
        let wrong = |error: serde_json::Error| {
            Error::file(&path, format!("is damaged ({error}); start the fit again"))
        };
        let command: Command = serde_json::from_slice(&text).map_err(wrong)?;
        if command.unmixel != env!("CARGO_PKG_VERSION") {
            return Err(Error::file(
                &path,
                format!(
                    "is of unmixel {}, and this is {}; go on with that version, or start again",
                    command.unmixel,
                    env!("CARGO_PKG_VERSION")
                ),
            ));
        }
        std::env::set_current_dir(&command.directory)
            .map_err(|error| Error::io(&command.directory, error))?;
        Ok(command.arguments)
    }

    /// Number of endmembers of the run that is kept in a folder; none where it had not begun.
    pub fn endmembers_in(folder: Option<&Path>) -> Result<Option<usize>> {
        let Some(folder) = folder else { return Ok(None) };
        let kept = Kept { folder: folder.to_owned(), every: Duration::ZERO };
        Ok(kept.run()?.map(|run| run.endmembers()))
    }

    fn run(&self) -> Result<Option<Checkpoint>> {
        let path = self.folder.join(RUN);
        path.is_file().then(|| Checkpoint::load(&path)).transpose()
    }

    /// The settings with checkpoints of the steps, going on from the last one.
    pub fn with(&self, unmixing: Unmixing) -> Result<Unmixing> {
        let unmixing = match self.run()? {
            Some(run) => unmixing.resuming(run),
            None => unmixing,
        };
        Ok(unmixing.checkpoint(self.folder.join(RUN), self.every))
    }

    /// The fit, where it is done.
    pub fn fit(&self) -> Result<Option<Fit>> {
        let path = self.folder.join(FIT);
        path.is_file().then(|| Fit::load(&path)).transpose()
    }

    /// Keeps a fit that is done.
    pub fn keep_fit(&self, fit: &Fit) -> Result<()> {
        fit.save(self.folder.join(FIT))
    }

    /// Keeps a block of rows.
    pub fn keep_rows(&self, block: &Block) -> Result<()> {
        let name = format!("{ROWS}{}-{}{END}", block.rows.start, block.rows.end);
        block.save(&self.folder.join(name))
    }

    /// Hands all blocks from row 0 on without a gap to `each`; the first row that is not kept.
    pub fn rows(
        &self,
        pass: &Pass<'_>,
        mut each: impl FnMut(Block) -> Result<()>,
    ) -> Result<usize> {
        let mut ends: BTreeMap<usize, (usize, String)> = BTreeMap::new();
        for name in names(&self.folder)? {
            let rows = name.strip_prefix(ROWS).and_then(|rest| rest.strip_suffix(END));
            let ends_of = rows.and_then(|rows| rows.split_once('-'));
            if let Some((Ok(first), Ok(end))) =
                ends_of.map(|(a, b)| (a.parse::<usize>(), b.parse::<usize>()))
            {
                ends.insert(first, (end, name));
            }
        }
        let mut next = 0;
        while let Some((end, name)) = ends.get(&next) {
            let block = Block::load(&self.folder.join(name), pass)?;
            if block.rows != (next..*end) || block.rows.is_empty() {
                break;
            }
            next = *end;
            each(block)?;
        }
        Ok(next)
    }

    /// Removes all that was kept; the folder, too, where nothing else is in it.
    pub fn clear(&self) -> Result<()> {
        for name in names(&self.folder)? {
            let rows = name.starts_with(ROWS) && name.ends_with(END);
            if rows || is_part(&name) || [COMMAND, RUN, FIT].contains(&name.as_str()) {
                let path = self.folder.join(&name);
                std::fs::remove_file(&path).map_err(|error| Error::io(&path, error))?;
            }
        }
        // It may hold what others put there.
        let _ = std::fs::remove_dir(&self.folder);
        Ok(())
    }
}

/// A file that was being written when the program was killed.
fn is_part(name: &str) -> bool {
    name.contains(&format!("{END}.part")) || name == format!("{COMMAND}.part")
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let fail = |error| Error::io(folder, error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        names.push(entry.map_err(fail)?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}
