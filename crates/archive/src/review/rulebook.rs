//! The document of rules, with all its versions.

use std::sync::Arc;

use jid::Jid;
use policy::rules::{self, Compiled, Verdict};
use serde::{Deserialize, Serialize};
use vault::{Expect, Micros, Record, Write};

use super::{InForce, ReviewError, Reviews};

/// One version of the rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rulebook {
    /// From 1 without gaps; 0 before there are any.
    pub version: u64,
    /// The document, in the language of [`policy::rules`].
    pub source: String,
    /// Who set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Jid>,
    /// When.
    pub at: Micros,
}

impl Record for Rulebook {
    const KIND: u16 = 0x4142;
}

/// Under what the versions are listed; the one in force is apart.
const VERSIONS: &str = "versions";

impl Reviews {
    /// The rules in force.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn rulebook(&self) -> Result<Rulebook, ReviewError> {
        Ok(self.vault.get::<Rulebook>("", "current").await?.map(|found| found.value).unwrap_or_default())
    }

    /// All versions, the newest first.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn rulebooks(&self) -> Result<Vec<Rulebook>, ReviewError> {
        let all = self.vault.list::<Rulebook>(VERSIONS).await?;
        Ok(all.into_iter().rev().map(|(_, found)| found.value).collect())
    }

    /// Puts rules in force. They apply to what is archived from now on.
    ///
    /// # Errors
    /// [`ReviewError::Rules`] and [`ReviewError::OnlyFlags`] when they are not in order; [`ReviewError::Conflict`] when
    /// `version` is no longer the one in force.
    pub async fn set_rules(&self, source: &str, version: u64, by: &Jid) -> Result<Rulebook, ReviewError> {
        let compiled = check(source)?;
        let before = self.vault.get::<Rulebook>("", "current").await?;
        if before.as_ref().map_or(0, |before| before.value.version) != version {
            return Err(ReviewError::Conflict);
        }
        let next = Rulebook {
            version: version + 1,
            source: source.to_owned(),
            by: Some(by.clone()),
            at: Micros::now(),
        };
        let expect = before.map_or(Expect::Absent, |before| Expect::Version(before.version));
        let key = format!("{:020}", next.version);
        // The follower must not be half way through a walk with the rules before.
        let _walk = self.shared.follower.lock().await;
        self.vault
            .apply(vec![
                Write::put("", "current", &next, expect)?,
                Write::put(VERSIONS, &key, &next, Expect::Absent)?,
            ])
            .await?;
        *self.shared.rules.write() = Some(Arc::new(InForce { version: next.version, compiled }));
        Ok(next)
    }

    /// Whether no rule and no sample is in force.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn is_idle(&self) -> Result<bool, ReviewError> {
        let rules = self.in_force().await?;
        Ok(rules.compiled.rules().is_empty() && rules.compiled.samples().is_empty())
    }

    /// The rules in force, compiled.
    pub(super) async fn in_force(&self) -> Result<Arc<InForce>, ReviewError> {
        if let Some(rules) = &*self.shared.rules.read() {
            return Ok(rules.clone());
        }
        let Rulebook { version, source, .. } = self.rulebook().await?;
        let rules = Arc::new(InForce { version, compiled: check(&source)? });
        *self.shared.rules.write() = Some(rules.clone());
        Ok(rules)
    }
}

/// Compiles rules that only flag.
///
/// # Errors
/// What is not in order.
pub(super) fn check(source: &str) -> Result<Compiled, ReviewError> {
    let compiled = rules::compile(source).map_err(ReviewError::Rules)?;
    match compiled.rules().iter().find(|rule| rule.then != Verdict::Flag) {
        Some(rule) => Err(ReviewError::OnlyFlags(rule.id.clone())),
        None => Ok(compiled),
    }
}
