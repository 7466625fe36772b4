//! The words of the command line. The comments are the help texts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use server::users::Roles;

/// Business instant messaging that a company owns: XMPP, with every word in a sealed archive.
#[derive(Parser)]
#[command(name = "chancery", version, disable_help_subcommand = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// The configuration file. Without it: chancery.toml in the working directory, if there is one
    #[arg(long, global = true, value_name = "FILE", env = "CHANCERY_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The data folder; wins over the configuration. Without either: ./data
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the server. The first run makes the data folder, keys, a certificate and an admin, and prints how to sign in
    Serve,
    /// Say how the running server is
    Status,
    /// Let the running server read its certificate and configuration again
    Reload,
    /// People: add, list, change, remove, import
    #[command(subcommand)]
    User(User),
    /// The archive of everything that was said
    #[command(subcommand)]
    Archive(Archive),
    /// What people uploaded
    #[command(subcommand)]
    File(File),
    /// The keys that everything is sealed with
    #[command(subcommand)]
    Keys(Keys),
    /// Copy everything into a new folder, while people go on talking. The master key is not part of it
    ///
    /// The keys that open it are kept apart, in one file for all backups beside DIR, because erasing something destroys
    /// its key there, too. Keep that file: without it no backup can be read.
    Backup {
        /// The folder to make
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Where the file of the keys is or will be, instead of beside DIR
        #[arg(long, value_name = "FILE")]
        keys: Option<PathBuf>,
    },
    /// Put a backup in place as the data folder, which must be absent or empty
    Restore {
        /// The folder that `chancery backup` made
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// The file of the keys, if it is not beside DIR
        #[arg(long, value_name = "FILE")]
        keys: Option<PathBuf>,
    },
    /// Look for trouble: configuration, permissions, keys, storage, certificate
    Doctor {
        /// Only ask whether the server is up; for health checks
        #[arg(long)]
        quick: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum User {
    /// Make an account. Asks for the password
    Add {
        /// NAME, or NAME@DOMAIN where the server has several domains
        name: String,
        #[command(flatten)]
        password: PasswordFrom,
        /// What the person is: user, or any of admin, auditor, officer and key-custodian with commas between them
        #[arg(long, value_name = "ROLES", default_value_t = Roles::USER)]
        role: Roles,
        /// How the person is called
        #[arg(long, value_name = "NAME")]
        display_name: Option<String>,
        /// A group the person belongs to; may be given several times
        #[arg(long, value_name = "GROUP")]
        group: Vec<String>,
        /// Mail address
        #[arg(long)]
        email: Option<String>,
        /// Telephone number
        #[arg(long)]
        phone: Option<String>,
        /// What the person does
        #[arg(long)]
        title: Option<String>,
    },
    /// Make a link with which somebody makes their own account, once
    Invite {
        /// The name of the account: NAME, or NAME@DOMAIN where the server has several domains. Without, the newcomer
        /// chooses
        #[arg(long)]
        name: Option<String>,
        /// How the person is called
        #[arg(long, value_name = "NAME")]
        display_name: Option<String>,
        /// Groups that the person will be in, separated by commas
        #[arg(long, value_name = "GROUP", value_delimiter = ',')]
        groups: Vec<String>,
        /// How many days the link is good
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=365))]
        days: u32,
    },
    /// Show everybody
    List,
    /// Set a password. Asks for it
    Passwd {
        /// Whose
        name: String,
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// Set what somebody may do
    Role {
        /// Who
        name: String,
        /// User, or any of admin, auditor, officer and key-custodian with commas between them
        #[arg(value_name = "ROLES")]
        role: Roles,
    },
    /// Take the second factor off the account of somebody who lost theirs. They set up another
    TotpReset {
        /// Whose
        name: String,
    },
    /// Keep somebody out, and end their sessions. Nothing is deleted
    Disable {
        /// Whom
        name: String,
    },
    /// Let somebody in again
    Enable {
        /// Whom
        name: String,
    },
    /// Remove an account. What it wrote stays in the archive
    Remove {
        /// Whose
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Make many accounts from a CSV file
    ///
    /// The first line names the columns: username and password, and any of name, groups (separated by semicolons),
    /// email, phone, title. A line that cannot be used is reported and does not stop the others.
    Import {
        /// The file; - for standard input
        #[arg(value_name = "FILE.csv")]
        file: PathBuf,
        /// Only check, change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Args)]
pub(crate) struct PasswordFrom {
    /// Read the password from the first line of standard input
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Subcommand)]
pub(crate) enum Archive {
    /// Check the whole chain: nothing changed, removed, reordered, inserted or cut off
    Verify {
        /// Verify with this key (as `chancery archive key` shows it) and without the master key, as an outsider would.
        /// The server must not be running on the folder; a backup will do: --data DIR
        #[arg(long, value_name = "HEX")]
        public_key: Option<String>,
        /// Verify an export instead. Needs the public key and nothing else
        #[arg(long, value_name = "FILE", requires = "public_key", conflicts_with = "anchors")]
        export: Option<PathBuf>,
        /// Check that the archive has every checkpoint in this file, which was kept elsewhere
        #[arg(long, value_name = "FILE")]
        anchors: Option<PathBuf>,
    },
    /// Sign where the archive stands now, and take that to everywhere that archive.anchor names. Prints the line to keep
    Anchor,
    /// Show the public key that verifies the archive's signatures
    Key,
    /// Write what a matter covers into a file for a court or another archive, with a proof. On record before it is made
    Export {
        #[command(flatten)]
        who: Who,
        /// The matter
        #[arg(long, value_name = "ID")]
        matter: String,
        /// How events are written: jsonl, csv, html, eml or rsmf
        #[arg(long = "format", value_name = "FORMAT", default_value = "jsonl")]
        form: String,
        /// What it is called; otherwise as the matter is
        #[arg(long, value_name = "TEXT")]
        title: Option<String>,
        /// The file, which must not be there: a ZIP
        #[arg(short = 'o', long = "output", value_name = "FILE")]
        to: PathBuf,
    },
    /// Matters: the reasons for which other people's words may be read
    #[command(subcommand)]
    Matter(Matter),
    /// Holds: what must not vanish, whatever a policy or a person wishes
    #[command(subcommand)]
    Hold(Hold),
    /// Carry out the retention policies: erase what is older than they let it be, unless it is held
    #[command(args_conflicts_with_subcommands = true)]
    Retain {
        #[command(subcommand)]
        command: Option<Retain>,
        #[command(flatten)]
        who: Who,
        /// Only show what would go and what is in the way
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Erase all that a person said, and their files, in the archive and in all backups (GDPR 17)
    ///
    /// What is held, or must be kept by a policy's minimum, stays; the signed certificate says what and why.
    Erase {
        /// Whose words: NAME, or NAME@DOMAIN where the server has several domains
        person: String,
        /// Who asked for it, and when
        #[arg(long)]
        reason: String,
        /// Write the certificate to this file
        #[arg(long, value_name = "FILE")]
        certificate: Option<PathBuf>,
        #[command(flatten)]
        who: Who,
        /// Only show what would go and what is in the way
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Show all erasures
    Erasures {
        #[command(flatten)]
        who: Who,
    },
    /// Check a certificate of an erasure, with the public key alone
    Certificate {
        /// The file
        file: PathBuf,
        /// The key that `chancery archive key` shows
        #[arg(long, value_name = "HEX")]
        public_key: String,
    },
    /// Search your own conversations, or other people's under a matter, which is on record
    Search {
        #[command(flatten)]
        who: Who,
        /// What to search for: words, "phrases", -not, OR, from:NAME, in:ROOM, before:2026-03; see docs/search.md
        #[arg(value_name = "QUERY", allow_hyphen_values = true)]
        question: String,
        /// Search what this matter covers
        #[arg(long, value_name = "ID", conflicts_with = "break_glass")]
        matter: Option<String>,
        /// Search everybody's words without a matter; all officers are told of this reason
        #[arg(long, value_name = "REASON")]
        break_glass: Option<String>,
        /// The best hits first, rather than the newest
        #[arg(long, conflicts_with = "oldest")]
        best: bool,
        /// The oldest hits first
        #[arg(long)]
        oldest: bool,
        /// Show so many messages before and after each hit
        #[arg(long, short = 'C', default_value_t = 0, value_name = "N")]
        context: usize,
        /// At most so many hits
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: usize,
        /// Go on where a page ended
        #[arg(long, value_name = "CURSOR")]
        cursor: Option<String>,
    },
    /// Who read other people's words, and who used the power to. Reading this is on record, too
    Audit {
        #[command(flatten)]
        who: Who,
        /// Only what this person did
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        /// Only what was done under this matter
        #[arg(long, value_name = "ID")]
        matter: Option<String>,
        /// At most so many entries, the newest
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: usize,
    },
    /// Supervision: the rules, the queue of what they flagged or drew, and the evidence that somebody looked
    Review {
        #[command(flatten)]
        who: Who,
        #[command(subcommand)]
        command: Review,
    },
}

#[derive(Subcommand)]
pub(crate) enum Review {
    /// List what waits for you, oldest first; never what you took part in
    List {
        /// Only what is open, assigned, escalated or closed
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
        /// Only what this rule or sample brought
        #[arg(long, value_name = "ID")]
        rule: Option<String>,
        /// Only what is assigned to you
        #[arg(long)]
        mine: bool,
        /// Of closed ones: about messages of this month
        #[arg(long, value_name = "YYYY-MM")]
        month: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: usize,
    },
    /// Show an item with the words that it is about. That you read them is on record
    Show {
        /// The item
        id: String,
    },
    /// Take an item, or give it to another reviewer
    Assign {
        /// The item
        id: String,
        /// To whom; without, to you
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
    },
    /// Note something about an item
    Comment {
        /// The item
        id: String,
        /// What there is to say
        comment: String,
    },
    /// Ask somebody above to decide
    Escalate {
        /// The item
        id: String,
        /// Whom; without, any officer
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
        /// Why
        #[arg(long, value_name = "TEXT")]
        comment: String,
    },
    /// Decide about an item
    Close {
        /// The item
        id: String,
        /// fine, false-alarm or violation
        outcome: String,
        /// Why; a violation needs it
        #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
        comment: String,
    },
    /// Open a closed item again
    Reopen {
        /// The item
        id: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        comment: String,
    },
    /// Show the rules, or put others in force
    Rules {
        /// Put the rules of this file (TOML) in force; - is standard input
        #[arg(long, value_name = "FILE")]
        set: Option<PathBuf>,
    },
    /// Say what rules would have brought in the past
    Try {
        /// The rules (TOML), - is standard input; without, those in force
        #[arg(value_name = "FILE")]
        rules: Option<PathBuf>,
        /// Messages from this date on
        #[arg(long, value_name = "DATE")]
        from: Option<String>,
        /// Messages until this date
        #[arg(long, value_name = "DATE")]
        to: Option<String>,
        /// Put what is found into the queue
        #[arg(long)]
        file: bool,
    },
    /// The evidence: counts, reviewers and decisions, without a word of what was said
    Report {
        /// Messages from this date on
        #[arg(long, value_name = "DATE")]
        from: Option<String>,
        /// Messages until this date
        #[arg(long, value_name = "DATE")]
        to: Option<String>,
        /// csv (the decisions) or html (a page to print); without, a summary, or JSON with --json
        #[arg(long, value_name = "FORMAT")]
        format: Option<String>,
    },
}

#[derive(Subcommand)]
pub(crate) enum Matter {
    /// Open a matter
    Open {
        #[command(flatten)]
        brief: Brief,
        #[command(flatten)]
        who: Who,
    },
    /// Change a matter. It must be approved anew then
    Change {
        /// Its id
        id: String,
        #[command(flatten)]
        brief: Brief,
        #[command(flatten)]
        who: Who,
    },
    /// Show all matters
    List {
        #[command(flatten)]
        who: Who,
    },
    /// Show a matter with all that was done to it
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        who: Who,
    },
    /// Approve a matter that somebody else opened
    Approve(Step),
    /// Refuse a matter
    Refuse(Step),
    /// Close a matter. Its holds stay until they are released
    Close(Step),
    /// Open a closed matter again. It must be approved anew then
    Reopen(Step),
}

#[derive(Args)]
pub(crate) struct Step {
    /// Its id
    pub(crate) id: String,
    /// What to note
    #[arg(long)]
    pub(crate) note: Option<String>,
    #[command(flatten)]
    pub(crate) who: Who,
}

#[derive(Args)]
pub(crate) struct Brief {
    /// What people call it
    #[arg(id = "title", long = "name", value_name = "TEXT")]
    pub(crate) name: String,
    /// Why other people's words must be read
    #[arg(long)]
    pub(crate) reason: String,
    /// A person that it is about; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) custodian: Vec<String>,
    /// A room that it is about; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) room: Vec<String>,
    /// What the words must match, in the language of search
    #[arg(long)]
    pub(crate) question: Option<String>,
    /// Not older than this, as 2026-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) start: Option<String>,
    /// Not younger than this
    #[arg(long, value_name = "TIME")]
    pub(crate) end: Option<String>,
    /// Who may read; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) reader: Vec<String>,
    /// How many others must approve before anybody may
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) approvals: u32,
}

#[derive(Subcommand)]
pub(crate) enum Hold {
    /// Hold all that a matter covers, and what it comes to cover
    Place {
        /// The matter's id
        matter: String,
        #[command(flatten)]
        who: Who,
    },
    /// Release a hold. Nothing is deleted by that
    Release(Step),
    /// Show all holds
    List {
        #[command(flatten)]
        who: Who,
    },
}

#[derive(Subcommand)]
pub(crate) enum Retain {
    /// Show the policies
    List {
        #[command(flatten)]
        who: Who,
    },
    /// Set how long something must be kept, and may be. Without either, there is no policy about it any more
    Set {
        /// everything, network:DOMAIN, group:NAME, person:ADDRESS or room:ADDRESS
        subject: String,
        /// Days for which it must be kept
        #[arg(long, value_name = "DAYS")]
        min: Option<u32>,
        /// Days after which it must go
        #[arg(long, value_name = "DAYS")]
        max: Option<u32>,
        /// Which law or rule says so
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        who: Who,
    },
}

/// Who asks. Whoever holds the machine has no right to other people's words by that.
#[derive(Args)]
pub(crate) struct Who {
    /// The person who asks; wants their password. Without: the token in CHANCERY_TOKEN, if it is set
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Read the password from the first line of standard input, and the second factor, if there is one, from the next
    #[arg(long, requires = "name")]
    pub(crate) password_stdin: bool,
}

#[derive(Subcommand)]
pub(crate) enum File {
    /// Destroy the content of a file for good. That it was done stays on record
    Erase {
        /// The link to it
        url: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum Keys {
    /// Show where keys come from and how many there are; never a key itself
    Show,
    /// Replace the master key. Nothing but the wrapped data keys is rewritten
    Rotate {
        /// Read the new key's recovery phrase from standard input instead of making one. Needed when the key comes
        /// from a command or the environment: put the new key there afterwards
        #[arg(long)]
        phrase_stdin: bool,
    },
    /// Write the master key file anew from the recovery phrase. Asks for it
    Restore {
        /// Read the phrase from the first line of standard input
        #[arg(long)]
        phrase_stdin: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_makes_sense() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
