//! `chancery user import`: a whole company from one file.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use csv::StringRecord;
use serde_json::{Value, json};
use server::admin::{NewPerson, Request};
use server::config::Sources;
use server::directory::Profile;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::folder::Absent;
use crate::link::Link;
use crate::output::Output;

/// People in one request: enough to share commits, few enough to fit a line of the admin socket.
const AT_ONCE: usize = 256;

/// The columns that there are.
const COLUMNS: [&str; 7] = ["username", "password", "name", "groups", "email", "phone", "title"];

/// A line of the file that can be used.
struct Row {
    line: u64,
    person: NewPerson,
}

/// A line that cannot be used.
struct Refusal {
    line: u64,
    user: String,
    message: String,
}

pub(crate) async fn run(
    file: &Path,
    dry_run: bool,
    sources: &Sources,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let text = read(file)?;
    let (rows, mut refusals) = parse(&text)?;
    let absent = if dry_run { Absent::Refuse } else { Absent::Make };
    let mut link = Link::find(sources, absent, output).await?;
    let made = send(&mut link, &rows, dry_run, &mut refusals, output).await;
    link.close().await;
    let made = made?;
    refusals.sort_by_key(|refusal| refusal.line);

    let faults: Vec<Value> = refusals
        .iter()
        .map(|refusal| json!({ "line": refusal.line, "user": refusal.user, "message": refusal.message }))
        .collect();
    let result = json!({ "made": made, "refused": faults, "dry_run": dry_run });
    for refusal in &refusals {
        output.note(&format!("line {}: {}", refusal.line, refusal.message));
    }
    output.value(&result, |_| match dry_run {
        true => format!(
            "{made} accounts could be made, {} lines cannot be used; nothing was changed",
            refusals.len()
        ),
        false => format!("{made} accounts made, {} lines refused", refusals.len()),
    });
    Ok(if refusals.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Sends the rows in portions; gives back how many accounts were made, and adds those that were refused.
async fn send(
    link: &mut Link,
    rows: &[Row],
    dry_run: bool,
    refusals: &mut Vec<Refusal>,
    output: &Output,
) -> Result<usize, Failure> {
    let bar = output.progress("importing");
    let shown = bar.progress();
    let total = rows.len() as u64;
    let mut made = 0;
    let mut seen = std::collections::HashSet::new();
    for (portion, rows) in rows.chunks(AT_ONCE).enumerate() {
        let before = (portion * AT_ONCE) as u64;
        let progress = {
            let shown = shown.clone();
            Arc::new(move |done, _| shown(before + done, total))
        };
        let people: Vec<NewPerson> = rows.iter().map(|row| row.person.clone()).collect();
        let outcomes = link.call(Request::UserImport { people, dry_run }, progress).await?;
        shown(before + rows.len() as u64, total);
        for (row, outcome) in rows.iter().zip(outcomes.as_array().into_iter().flatten()) {
            let message = match outcome["outcome"].as_str() {
                // A dry run makes nothing, so a name that comes again in a later portion only shows here.
                Some("made") if seen.insert(row.person.user.to_lowercase()) => {
                    made += 1;
                    continue;
                }
                Some("made") => format!("{} comes twice", row.person.user),
                _ => outcome["fault"]["message"].as_str().unwrap_or("refused").to_owned(),
            };
            refusals.push(Refusal { line: row.line, user: row.person.user.clone(), message });
        }
    }
    Ok(made)
}

fn read(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().read_to_string(&mut text),
        false => std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text)),
    };
    match read {
        Ok(_) => Ok(text),
        Err(error) => Err(Failure::refused(format!("{}: {error}", file.display()))),
    }
}

/// Every line as a person, or as what is wrong with it.
fn parse(text: &str) -> Result<(Vec<Row>, Vec<Refusal>), Failure> {
    // Spreadsheets begin with a byte order mark, and in much of Europe separate by semicolons.
    let text = text.trim_start_matches('\u{feff}');
    let heading = text.lines().next().unwrap_or_default();
    let delimiter = if heading.contains(';') && !heading.contains(',') { b';' } else { b',' };
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::Headers).from_reader(text.as_bytes());
    let unreadable = |error: csv::Error| Failure::refused(format!("the file is no CSV: {error}"));
    let columns = Columns::find(reader.headers().map_err(unreadable)?)?;
    let (mut rows, mut refusals) = (Vec::new(), Vec::new());
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                match columns.person(&record) {
                    Ok(person) => rows.push(Row { line, person }),
                    Err((user, message)) => refusals.push(Refusal { line, user, message }),
                }
            }
            // The error's own words may quote the line, and the line may hold a password.
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                let message = match error.kind() {
                    csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                        format!("has {len} fields instead of {expected_len}")
                    }
                    _ => "cannot be read".into(),
                };
                refusals.push(Refusal { line, user: String::new(), message });
            }
        }
    }
    Ok((rows, refusals))
}

/// Which column holds what.
struct Columns([Option<usize>; COLUMNS.len()]);

impl Columns {
    fn find(heading: &StringRecord) -> Result<Self, Failure> {
        let mut places = [None; COLUMNS.len()];
        for (place, name) in heading.iter().enumerate() {
            let known =
                COLUMNS.iter().position(|column| column.eq_ignore_ascii_case(name)).ok_or_else(|| {
                    Failure::refused(format!(
                        "line 1: there is no column {name:?}; there are {}",
                        COLUMNS.join(", ")
                    ))
                })?;
            if places[known].replace(place).is_some() {
                return Err(Failure::refused(format!("line 1: the column {name:?} comes twice")));
            }
        }
        let columns = Self(places);
        for needed in ["username", "password"] {
            if columns.place(needed).is_none() {
                return Err(Failure::refused(format!(
                    "line 1: there is no column {needed}; the first line names the columns"
                )));
            }
        }
        Ok(columns)
    }

    fn place(&self, column: &str) -> Option<usize> {
        COLUMNS.iter().position(|known| *known == column).and_then(|index| self.0[index])
    }

    /// The person on this line, or who it would be and what is missing.
    fn person(&self, record: &StringRecord) -> Result<NewPerson, (String, String)> {
        let field = |column| self.place(column).and_then(|place| record.get(place));
        let trimmed =
            |column| field(column).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let user = trimmed("username").ok_or_else(|| (String::new(), "has no username".to_owned()))?;
        // A password may begin or end with a space on purpose.
        let password = field("password").filter(|password| !password.is_empty()).map(str::to_owned);
        let password = password.ok_or_else(|| (user.clone(), format!("{user} has no password")))?;
        let groups = field("groups").unwrap_or_default().split([';', '|']);
        let profile = Profile {
            name: trimmed("name"),
            groups: groups.map(str::trim).filter(|group| !group.is_empty()).map(str::to_owned).collect(),
            email: trimmed("email"),
            phone: trimmed("phone"),
            title: trimmed("title"),
        };
        Ok(NewPerson { user, password, profile })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_come_in_any_order() {
        let (rows, refusals) = parse("Email,password, username\na@x,secret,anna\n").unwrap();
        assert!(refusals.is_empty());
        assert_eq!((rows[0].line, rows[0].person.user.as_str()), (2, "anna"));
        assert_eq!(rows[0].person.profile.email.as_deref(), Some("a@x"));
    }

    #[test]
    fn what_a_spreadsheet_saves_is_understood() {
        let (rows, _) = parse("\u{feff}username;password;groups\r\nanna; pw ;Sales | Board\r\n").unwrap();
        assert_eq!(rows[0].person.password, " pw ");
        assert_eq!(rows[0].person.profile.groups, ["Sales", "Board"]);
    }

    #[test]
    fn a_quoted_name_may_hold_commas_and_line_breaks_and_lines_still_count() {
        let text = "username,password,name\nanna,x,\"Berg,\nAnna\"\nben,,\n";
        let (rows, refusals) = parse(text).unwrap();
        assert_eq!(rows[0].person.profile.name.as_deref(), Some("Berg,\nAnna"));
        assert_eq!((refusals[0].line, refusals[0].message.as_str()), (4, "ben has no password"));
    }

    #[test]
    fn a_line_that_cannot_be_used_is_named_without_its_password() {
        let (rows, refusals) = parse("username,password\nanna,hunter2,extra\n,hunter2\n").unwrap();
        assert!(rows.is_empty());
        let lines: Vec<u64> = refusals.iter().map(|refusal| refusal.line).collect();
        assert_eq!(lines, [2, 3]);
        assert!(refusals.iter().all(|refusal| !refusal.message.contains("hunter2")));
    }

    #[test]
    fn a_heading_that_is_not_one_is_refused() {
        for heading in ["anna,secret", "username,name", "username,password,password"] {
            assert!(parse(&format!("{heading}\n")).is_err(), "{heading}");
        }
    }
}
