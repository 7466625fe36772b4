//! `chancery keys`: the master key and what it wraps.

use std::process::ExitCode;

use serde_json::{Value, json};
use server::admin::{Request, no_progress};
use server::config::{Config, KeySource, Sources};
use vault::MasterKey;
use zeroize::Zeroizing;

use crate::cli::Keys;
use crate::failure::Failure;
use crate::folder::{self, Absent};
use crate::link::{Link, ask};
use crate::output::{Output, text};
use crate::password;

pub(crate) async fn run(command: Keys, sources: &Sources, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        Keys::Show => show(sources, output).await,
        Keys::Rotate { phrase_stdin } => rotate(phrase_stdin, sources, output).await,
        Keys::Restore { phrase_stdin } => restore(phrase_stdin, sources, output).await,
    }
}

async fn show(sources: &Sources, output: &Output) -> Result<ExitCode, Failure> {
    let keys = ask(Request::KeysShow, no_progress(), Absent::Refuse, sources, output).await?;
    output.value(&keys, |keys| {
        let master = &keys["master_key"];
        let place = match master["file"].as_str() {
            Some(file) => format!("file {file}"),
            None => text(master, "source"),
        };
        format!(
            "master key: from {place}\ndata keys: {}\narchive public key: {}",
            text(keys, "data_keys"),
            text(keys, "archive_public_key")
        )
    });
    Ok(ExitCode::SUCCESS)
}

async fn rotate(phrase_stdin: bool, sources: &Sources, output: &Output) -> Result<ExitCode, Failure> {
    let config = Config::load(sources)?;
    let file = match (&config.key, phrase_stdin) {
        (KeySource::File(file), false) => Some(file.clone()),
        (_, true) => None,
        (_, false) => {
            return Err(Failure::Usage(
                "the master key does not come from a file, so its keeper must make the new one; give its recovery \
                 phrase with --phrase-stdin"
                    .into(),
            ));
        }
    };
    let (phrase, next) = match &file {
        None => (password::phrase(true)?, None),
        Some(file) => {
            // On disk before it is in force: whatever happens from here on, the key that opens the folder is there.
            let master = MasterKey::generate().map_err(|error| Failure::refused(error.to_string()))?;
            let next = folder::next_key_file(file);
            let _ = std::fs::remove_file(&next);
            master
                .create_file(&next)
                .map_err(|error| Failure::refused(format!("{}: {error}", next.display())))?;
            (master.phrase(), Some(next))
        }
    };
    let mut link = Link::with_config(config, Absent::Refuse, output).await?;
    let answer = link.call(Request::KeysRotate { phrase: phrase.to_string() }, no_progress()).await;
    link.close().await;
    let mut answer = answer?;
    if let (Some(file), Some(next)) = (&file, &next) {
        std::fs::rename(next, file).map_err(Failure::from_io(&file.display().to_string()))?;
        answer["phrase"] = Value::String(phrase.to_string());
    }
    output.value(&answer, |answer| {
        let count = text(answer, "rewrapped");
        match file {
            Some(_) => format!(
                "{count} keys are wrapped with a new master key. Its recovery phrase, shown only now:\n\n    {}\n\n\
                 A backup whose file of keys could not be reached just now still needs the old phrase.",
                *phrase
            ),
            None => format!("{count} keys are wrapped with the new master key. Put it in place before the next start."),
        }
    });
    Ok(ExitCode::SUCCESS)
}

async fn restore(phrase_stdin: bool, sources: &Sources, output: &Output) -> Result<ExitCode, Failure> {
    let config = Config::load(sources)?;
    let KeySource::File(file) = &config.key else {
        return Err(Failure::Usage("the master key does not come from a file".into()));
    };
    if file.exists() {
        return Err(Failure::refused(format!("{} is there already; nothing was changed", file.display())));
    }
    let phrase: Zeroizing<String> = password::phrase(phrase_stdin)?;
    let master = MasterKey::parse(&phrase).map_err(|error| Failure::refused(error.to_string()))?;
    master.create_file(file).map_err(|error| Failure::refused(format!("{}: {error}", file.display())))?;
    let has_data = !folder::is_absent_or_empty(&config.data)?;
    if has_data && let Err(failure) = open_once(&config).await {
        // A key that does not open the folder must not stand in the right one's place.
        let _ = std::fs::remove_file(file);
        return Err(failure);
    }
    output.value(&json!({ "file": file, "opens_data": has_data }), |_| match has_data {
        true => format!("{}: written, and it opens {}", file.display(), config.data.display()),
        false => format!("{}: written", file.display()),
    });
    Ok(ExitCode::SUCCESS)
}

async fn open_once(config: &Config) -> Result<(), Failure> {
    folder::open(config, Absent::Refuse).await?.vault.close().await;
    Ok(())
}
