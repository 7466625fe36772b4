//! The way from a command to what carries it out: the running server, or the data folder itself.

use std::sync::Arc;

use parking_lot::RwLock;
use serde_json::Value;
use server::admin::{Ask, Caller, Client, Handler, Operations, Order, Progress, Request};
use server::config::{Config, Sources};
use server::office::Office;
use server::users::{Options, Users};
use vault::Vault;

use crate::cli::Who;
use crate::failure::Failure;
use crate::folder::{self, Absent};
use crate::output::Output;
use crate::password;

/// Carries requests.
pub(crate) enum Link {
    /// A server is running.
    Server(Client),
    /// Nobody else has the folder open.
    Folder { vault: Vault, office: Office, operations: Operations },
}

impl Link {
    /// Finds the way.
    pub(crate) async fn find(sources: &Sources, absent: Absent, output: &Output) -> Result<Self, Failure> {
        Self::with_config(Config::load(sources)?, absent, output).await
    }

    /// Finds the way for a configuration that has been read already.
    pub(crate) async fn with_config(
        config: Config,
        absent: Absent,
        output: &Output,
    ) -> Result<Self, Failure> {
        for warning in &config.warnings {
            output.note(&format!("chancery: {warning}"));
        }
        if let Some(client) = Client::connect(&config.admin_socket).await? {
            return Ok(Self::Server(client));
        }
        let opened = match folder::open(&config, absent).await {
            // Somebody holds the folder. Perhaps a server that was just starting.
            Err(failure) => match Client::connect(&config.admin_socket).await? {
                Some(client) => return Ok(Self::Server(client)),
                None => return Err(failure),
            },
            Ok(opened) => opened,
        };
        if let Some(phrase) = &opened.new_phrase {
            eprintln!("{}", crate::commands::serve::about_phrase(&config, phrase));
        }
        let vault = opened.vault;
        let users = Users::new(vault.clone(), Options::default());
        let office = Office::at_rest(&config, vault.clone(), users);
        let config = Arc::new(RwLock::new(Arc::new(config)));
        let operations = Operations::new(config, vault.clone(), office.clone(), None);
        Ok(Self::Folder { vault, office, operations })
    }

    /// Asks and waits for the answer.
    pub(crate) async fn call(&mut self, request: Request, progress: Progress) -> Result<Value, Failure> {
        match self {
            Self::Server(client) => Ok(client.call(&request, &progress).await?),
            Self::Folder { operations, .. } => Ok(operations.handle(Order::here(request), progress).await?),
        }
    }

    /// Lets go of the folder in good order.
    pub(crate) async fn close(self) {
        if let Self::Folder { vault, office, operations } = self {
            drop(operations);
            office.close().await;
            vault.close().await;
        }
    }
}

/// One request from beginning to end.
pub(crate) async fn ask(
    request: Request,
    progress: Progress,
    absent: Absent,
    sources: &Sources,
    output: &Output,
) -> Result<Value, Failure> {
    let mut link = Link::find(sources, absent, output).await?;
    let answer = link.call(request, progress).await;
    link.close().await;
    answer
}

/// One question to the office, by a person or, where that is enough, the operator.
pub(crate) async fn ask_office(
    who: &Who,
    ask: Ask,
    progress: Progress,
    sources: &Sources,
    output: &Output,
) -> Result<Value, Failure> {
    let by = match (&who.name, std::env::var("CHANCERY_TOKEN")) {
        (Some(name), _) => {
            let (password, code) = password::sign_in(name, who.password_stdin)?;
            let code = code.map(|code| code.to_string());
            Caller::Person { user: name.clone(), password: password.to_string(), code }
        }
        (None, Ok(token)) => Caller::Token { token },
        (None, Err(_)) => Caller::Console,
    };
    let mut link = Link::find(sources, Absent::Refuse, output).await?;
    let answer = link.call(Request::Office { by, ask }, progress).await;
    link.close().await;
    answer
}
