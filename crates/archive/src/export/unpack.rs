//! Reading an export: a ZIP or a folder, which may come from anybody.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::ExportError;

pub(crate) enum Unpacked {
    Zip(Box<ZipArchive<BufReader<File>>>),
    Folder(PathBuf),
}

impl Unpacked {
    pub(crate) fn open(path: &Path) -> Result<Self, ExportError> {
        if path.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let mut file = BufReader::new(File::open(path)?);
        let entries = entries(&mut file)?;
        let zip = ZipArchive::new(file)?;
        // Two files of one name, or something before the first, would be read differently by different programs.
        if entries != Some(zip.len() as u64) || zip.offset() != 0 {
            return Err(ExportError::NoExport("plain list of its files"));
        }
        Ok(Self::Zip(Box::new(zip)))
    }

    /// The names of all files, with slashes between their parts.
    pub(crate) fn names(&self) -> Result<Vec<String>, ExportError> {
        match self {
            Self::Zip(zip) => {
                let names = zip.file_names().map(|name| Ok(name?.into_owned()));
                names.collect::<zip::result::ZipResult<_>>().map_err(Into::into)
            }
            Self::Folder(root) => {
                let mut names = Vec::new();
                let mut folders = vec![(root.clone(), String::new())];
                while let Some((folder, prefix)) = folders.pop() {
                    for entry in folder.read_dir()? {
                        let entry = entry?;
                        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                        if entry.file_type()?.is_dir() {
                            folders.push((entry.path(), format!("{name}/")));
                        } else {
                            names.push(name);
                        }
                    }
                }
                Ok(names)
            }
        }
    }

    /// A file's content; `None` if there is no such file.
    pub(crate) fn read(&mut self, name: &str) -> Result<Option<Box<dyn Read + '_>>, ExportError> {
        match self {
            Self::Zip(zip) => match zip.by_name(name) {
                Ok(file) => Ok(Some(Box::new(file))),
                Err(zip::result::ZipError::FileNotFound) => Ok(None),
                Err(error) => Err(error.into()),
            },
            Self::Folder(root) => {
                if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
                    return Ok(None);
                }
                match File::open(root.join(name)) {
                    Ok(file) => Ok(Some(Box::new(file))),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// A file of at most `most` bytes.
    pub(crate) fn small(&mut self, name: &'static str, most: u64) -> Result<Vec<u8>, ExportError> {
        let mut bytes = Vec::new();
        let file = self.read(name)?.ok_or(ExportError::NoExport(name))?;
        file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// How many files the ZIP's own end says that there are (APPNOTE 4.3.14 and 4.3.16). It must be the last thing in it.
fn entries(file: &mut BufReader<File>) -> std::io::Result<Option<u64>> {
    const END: u64 = 22;
    const LOCATOR: u64 = 20;
    const LARGE: u64 = 56;
    let length = file.seek(SeekFrom::End(0))?;
    if length < END {
        return Ok(None);
    }
    let mut end = [0; END as usize];
    file.seek(SeekFrom::Start(length - END))?;
    file.read_exact(&mut end)?;
    let mut entries = None;
    if end.starts_with(b"PK\x05\x06") {
        entries = Some(u64::from(u16::from_le_bytes([end[10], end[11]])));
    }
    if let Some(start) = length.checked_sub(END + LOCATOR + LARGE) {
        let mut large = [0; LARGE as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut large)?;
        let count = large[32..].first_chunk::<8>().map_or(0, |count| u64::from_le_bytes(*count));
        if large.starts_with(b"PK\x06\x06") && entries == Some(u64::from(u16::MAX)) {
            entries = Some(count);
        }
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(entries)
}
