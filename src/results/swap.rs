//! How complete results come to their place, so that at every moment the folder holds the old
//! results or the new ones.
//!
//! A folder that is missing or empty is replaced with the new one in a single rename. One that
//! holds files is exchanged with the new one, also a single step; files in it that are not the
//! program's to replace have a second name in the new folder by then, so that they are never out of
//! it. Where the system cannot exchange folders or give second names, files are moved in one by
//! one, and whoever comes to the folder after a crash finishes that first.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::disk;
use super::record::{Entry, RECORD_FILE, Record};
use super::stage::{Stage, is_working};

/// What is to be done in the folder beside moving files in, where they are moved one by one.
pub(super) const PLAN: &str = "plan.json";
/// More foreign files than this are not given second names.
const MOST_FOREIGN: usize = 10_000;

/// Files that stay although a result has their name, under another one: the old name, the new one.
pub(super) type Kept = Vec<(PathBuf, PathBuf)>;

/// What becomes of one file of the old folder.
enum Fate {
    /// It is an earlier result of the kind: it goes.
    Goes,
    /// It is another's: it stays.
    Stays,
    /// It is another's and has the name of a result: it stays under a free name.
    StaysAs(OsString),
}

/// Puts the sealed results of `stage` in their place; `by` is their kind, and `inputs` are files
/// that may not go, whoever wrote them.
pub(super) fn commit(stage: &Stage, by: &str, inputs: &HashSet<PathBuf>) -> io::Result<Kept> {
    let (new, target) = (stage.new_folder(), &stage.target);
    let parent = target.parent().unwrap_or(target);
    if !stage.inside && !target.exists() {
        disk::rename(&new, target)?;
        disk::sync_folder(parent)?;
        return Ok(Vec::new());
    }
    if !stage.inside {
        let waiting = stage.folder.join("swap");
        disk::rename(&new, &waiting)?;
        let mut kept = Vec::new();
        let adopted = adopt(target, &waiting, by, inputs, &mut 0, &mut kept)
            .and_then(|()| disk::sync_folder(&waiting))
            .and_then(|()| disk::exchange(&waiting, target));
        match adopted {
            Ok(()) => {
                // The results are in place. What cannot be tidied up now is when the stage is
                // dropped, or by the next run.
                let _ = disk::sync_folder(parent).and_then(|()| retire(&waiting, target));
                return Ok(kept);
            }
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Err(error),
            // No exchange, or no second names, here: take the names back and go the other way.
            Err(_) => {
                disown(&waiting, target)?;
                disk::rename(&waiting, &new)?;
            }
        }
    }
    let mut plan = Plan::default();
    plan_for(target, &new, Path::new(""), by, inputs, &mut plan)?;
    let path = stage.folder.join(PLAN);
    let text = serde_json::to_vec(&plan)?;
    let mut to = disk::create(&path)?;
    io::Write::write_all(&mut to, &text)?;
    disk::sync_file(&fs::File::open(&path)?)?;
    // From here on the new results count.
    disk::rename(&new, &stage.folder.join("commit"))?;
    let finish = || disk::sync_folder(&stage.folder).and_then(|()| move_in(&stage.folder, target));
    // They do so even if this fails twice: then the next run or reader goes on.
    finish().or_else(|_| finish())?;
    Ok(plan.kept.into_iter().map(|(from, to)| (target.join(from), target.join(to))).collect())
}

/// What becomes of the file `name` of `old`, where `new` is to take the folder's place.
fn fate(
    old: &Path,
    new: &Path,
    name: &OsStr,
    by: &str,
    record: &Record,
    inputs: &HashSet<PathBuf>,
) -> Fate {
    let path = old.join(name);
    let own = record.holds(old, name) && !inputs.contains(&path);
    let replaced = disk::exists(&new.join(name));
    match (own, replaced) {
        (true, true) => Fate::Goes,
        (true, false) if record.entry(name).is_some_and(|entry| entry.by == by) => Fate::Goes,
        (_, false) => Fate::Stays,
        (false, true) => Fate::StaysAs(free_name(name, &[old, new])),
    }
}

/// NAME.kept-1, or with the first number that no folder has.
fn free_name(name: &OsStr, folders: &[&Path]) -> OsString {
    let mut number = 1_u64;
    loop {
        let mut free = name.to_owned();
        free.push(format!(".kept-{number}"));
        if !folders.iter().any(|folder| disk::exists(&folder.join(&free))) {
            return free;
        }
        number += 1;
    }
}

/// Names of `old` that need a decision.
fn undecided(old: &Path) -> io::Result<impl Iterator<Item = OsString>> {
    let names = without_record(old)?;
    Ok(names.into_iter().filter(|name| !is_working(name)))
}

/// Names in a folder but its record's; a file of another's that is called so is one of them.
fn without_record(folder: &Path) -> io::Result<Vec<OsString>> {
    let mut names = disk::names(folder)?;
    if Record::is_in(folder) {
        names.retain(|name| name != RECORD_FILE);
    }
    Ok(names)
}

/// Gives the files of `old` that are to stay a second name in `new`.
fn adopt(
    old: &Path,
    new: &Path,
    by: &str,
    inputs: &HashSet<PathBuf>,
    count: &mut usize,
    kept: &mut Kept,
) -> io::Result<()> {
    let record = Record::of(old);
    fs::set_permissions(new, fs::metadata(old)?.permissions())?;
    for name in undecided(old)? {
        *count += 1;
        if *count > MOST_FOREIGN {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let (from, to) = (old.join(&name), new.join(&name));
        if disk::is_folder(&from) {
            let created = !disk::exists(&to);
            if created {
                disk::create_folder(&to)?;
            }
            // Fails where the result is a file: that goes the other way, and is told there.
            // Where the new results have no such folder, it may be one of another kind.
            let by = if created { by.to_owned() } else { inner_kind(&from, by) };
            adopt(&from, &to, &by, inputs, count, kept)?;
            // What stays there stays on record.
            let stays = |entry: &Entry| disk::exists(&to.join(&entry.name));
            if created && Record::of(&from).files.iter().any(stays) {
                disk::link(&from.join(RECORD_FILE), &to.join(RECORD_FILE))?;
            }
            // A folder of earlier results, of which nothing stays.
            let own = !Record::of(&from).files.is_empty() || !disk::names(&from)?.is_empty();
            if created && own && disk::names(&to)?.is_empty() {
                disk::remove_folder(&to)?;
            }
            continue;
        }
        match fate(old, new, &name, by, &record, inputs) {
            Fate::Goes => {}
            Fate::Stays => disk::link(&from, &to)?,
            Fate::StaysAs(free) => {
                disk::link(&from, &new.join(&free))?;
                kept.push((from, old.join(free)));
            }
        }
    }
    disk::sync_folder(new)
}

/// Results in a folder of their own are of their own kind; of a foreign folder nothing goes.
fn inner_kind(folder: &Path, outer: &str) -> String {
    let record = Record::of(folder);
    record.files.first().map_or_else(|| outer.to_owned(), |entry| entry.by.clone())
}

/// Takes back the second names that [`adopt`] gave.
fn disown(new: &Path, old: &Path) -> io::Result<()> {
    let known = identities(old)?;
    for name in disk::names(new)? {
        let path = new.join(&name);
        if disk::is_folder(&path) {
            disown(&path, &old.join(&name))?;
            // One that the results do not have.
            if disk::names(&path)?.is_empty() {
                disk::remove_folder(&path)?;
            }
        } else if disk::identity(&path).is_some_and(|id| known.contains(&id)) {
            disk::remove_file(&path)?;
        }
    }
    Ok(())
}

/// What tells the files in a folder from others.
fn identities(folder: &Path) -> io::Result<HashSet<(u64, u64)>> {
    let names = disk::names(folder)?;
    Ok(names.iter().filter_map(|name| disk::identity(&folder.join(name))).collect())
}

/// Removes a folder that was exchanged for `target`, or was to be: results on its record, and files
/// that have a name in `target`. Whatever else came into it meanwhile goes to `target`.
pub(super) fn retire(old: &Path, target: &Path) -> io::Result<()> {
    let record = Record::of(old);
    let known = identities(target)?;
    // The record last: until then it says what may go.
    for name in without_record(old)? {
        let path = old.join(&name);
        let there = target.join(&name);
        if disk::is_folder(&path) {
            if disk::is_folder(&there) {
                retire(&path, &there)?;
            } else if holds_foreign(&path)? {
                disk::rename(&path, &free_place(target, &name))?;
            } else {
                retire(&path, &there)?;
            }
            continue;
        }
        let has_a_name = disk::identity(&path).is_some_and(|id| known.contains(&id));
        if has_a_name || is_working(&name) || record.holds(old, &name) {
            disk::remove_file(&path)?;
        } else {
            disk::rename(&path, &free_place(target, &name))?;
        }
    }
    if disk::exists(&old.join(RECORD_FILE)) {
        disk::remove_file(&old.join(RECORD_FILE))?;
    }
    disk::remove_folder(old)
}

/// Whether a folder, or one in it, holds a file that is not on its record.
fn holds_foreign(folder: &Path) -> io::Result<bool> {
    let record = Record::of(folder);
    for name in undecided(folder)? {
        let path = folder.join(&name);
        let foreign = match disk::is_folder(&path) {
            true => holds_foreign(&path)?,
            false => !record.holds(folder, &name),
        };
        if foreign {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The place of that name in `folder`, or a free one beside it.
fn free_place(folder: &Path, name: &OsStr) -> PathBuf {
    let place = folder.join(name);
    if disk::exists(&place) { folder.join(free_name(name, &[folder])) } else { place }
}

/// What is to be done beside moving files in; paths from the folder of results.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Plan {
    /// Old name and new name of files that stay although a result has their name.
    kept: Vec<(PathBuf, PathBuf)>,
    /// Earlier results that no new one replaces, and what they must be to go.
    stale: Vec<(PathBuf, Entry)>,
}

impl Plan {
    /// Refuses a plan of somebody else's making, which leads out of the folder.
    fn check(&self) -> io::Result<()> {
        let inside = |path: &Path| path.components().all(|c| matches!(c, Component::Normal(_)));
        let kept = self.kept.iter().flat_map(|(old, new)| [old, new]);
        let mut paths = kept.chain(self.stale.iter().map(|(path, _)| path));
        match paths.all(|path| inside(path)) {
            true => Ok(()),
            false => Err(io::Error::other("what is left of an earlier run is not unmixel's")),
        }
    }
}

fn plan_for(
    old: &Path,
    new: &Path,
    within: &Path,
    by: &str,
    inputs: &HashSet<PathBuf>,
    plan: &mut Plan,
) -> io::Result<()> {
    let record = Record::of(old);
    for name in undecided(old)? {
        let (from, to) = (old.join(&name), new.join(&name));
        if disk::is_folder(&from) {
            match disk::is_folder(&to) {
                true => {
                    let by = inner_kind(&from, by);
                    plan_for(&from, &to, &within.join(&name), &by, inputs, plan)?;
                }
                false if disk::exists(&to) => {
                    let free = free_name(&name, &[old, new]);
                    plan.kept.push((within.join(&name), within.join(free)));
                }
                false => plan_for(&from, &to, &within.join(&name), by, inputs, plan)?,
            }
            continue;
        }
        match fate(old, new, &name, by, &record, inputs) {
            Fate::Stays => {}
            Fate::StaysAs(free) => plan.kept.push((within.join(&name), within.join(free))),
            Fate::Goes if disk::exists(&to) => {}
            Fate::Goes => {
                let entry = record.entry(&name).cloned();
                plan.stale.extend(entry.map(|entry| (within.join(&name), entry)));
            }
        }
    }
    Ok(())
}

/// Moves the files of `commit` in a staging folder into `target`: begins, or goes on where a killed
/// process was.
pub(super) fn move_in(stage: &Path, target: &Path) -> io::Result<()> {
    let complete = stage.join("commit");
    let plan: Plan = serde_json::from_slice(&fs::read(stage.join(PLAN))?)?;
    plan.check()?;
    for (name, free) in &plan.kept {
        let (from, to) = (target.join(name), target.join(free));
        // Where the result is in its place already, that name is its own.
        if disk::exists(&complete.join(name)) && disk::exists(&from) && !disk::exists(&to) {
            disk::rename(&from, &to)?;
        }
    }
    for (name, entry) in &plan.stale {
        let path = target.join(name);
        if entry.is_of(&path) {
            disk::remove_file(&path)?;
        }
        // The record of a folder of which nothing stays, and the folder itself.
        for folder in path.ancestors().skip(1).take_while(|folder| *folder != target) {
            let names = disk::names(folder)?;
            if names.iter().any(|name| name != RECORD_FILE) || !disk::is_folder(folder) {
                break;
            }
            if !names.is_empty() {
                disk::remove_file(&folder.join(RECORD_FILE))?;
            }
            disk::remove_folder(folder)?;
        }
    }
    // A second try may find everything in its place, and only the last sync left to do.
    if disk::is_folder(&complete) {
        move_files(&complete, target)?;
    }
    disk::sync_folder(target)
}

fn move_files(from: &Path, to: &Path) -> io::Result<()> {
    if !disk::is_folder(from) {
        // All of it was moved before what came then failed.
        return disk::sync_folder(to);
    }
    if !to.is_dir() {
        disk::create_folder(to)?;
    }
    // The record last: until then no reader takes old and new files for one result.
    let (mut names, last): (Vec<_>, Vec<_>) =
        disk::names(from)?.into_iter().partition(|name| name != RECORD_FILE);
    names.extend(last);
    for name in names {
        let path = from.join(&name);
        if disk::is_folder(&path) {
            move_files(&path, &to.join(&name))?;
        } else {
            disk::rename(&path, &to.join(&name))?;
        }
    }
    disk::sync_folder(to)?;
    disk::remove_folder(from)
}
