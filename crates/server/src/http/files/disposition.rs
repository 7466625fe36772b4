//! How a browser is to take a file: its type, whether to show it, and what to call it. Pure.

use crate::files::in_url;

/// The type as it is sent. Text without a charset is taken for UTF-8, as everything here is.
pub(super) fn content_type(type_: &str) -> String {
    match type_.eq_ignore_ascii_case("text/plain") {
        true => "text/plain; charset=utf-8".to_owned(),
        false => type_.to_owned(),
    }
}

/// `Content-Disposition` (RFC 6266): what can hold a script is saved and never shown.
pub(super) fn disposition(type_: &str, name: &str) -> String {
    let how = if is_shown(type_) { "inline" } else { "attachment" };
    // For those who do not read RFC 8187's form.
    let plain: String = name
        .chars()
        .map(|c| match c {
            '"' | '\\' | '%' => '_',
            c if c.is_ascii_graphic() || c == ' ' => c,
            _ => '_',
        })
        .collect();
    format!("{how}; filename=\"{plain}\"; filename*=UTF-8''{}", in_url(name))
}

/// Pictures, sound, films and plain text. SVG is a picture that can hold a script.
fn is_shown(type_: &str) -> bool {
    let essence = type_.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.split_once('/') {
        Some(("image", format)) => !format.contains("xml"),
        Some(("audio" | "video", _)) => true,
        _ => essence == "text/plain",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_holds_no_script_is_shown() {
        for type_ in
            ["image/jpeg", "IMAGE/PNG", "audio/ogg; codecs=opus", "video/mp4", "text/plain;charset=x"]
        {
            assert!(disposition(type_, "a").starts_with("inline;"), "{type_}");
        }
        for type_ in
            ["text/html", "image/svg+xml", "application/pdf", "application/xhtml+xml", "text/xml", "x", ""]
        {
            assert!(disposition(type_, "a").starts_with("attachment;"), "{type_}");
        }
    }

    #[test]
    fn a_name_breaks_out_of_no_header() {
        assert_eq!(
            disposition("image/png", "naïve \"x\"; y.png"),
            "inline; filename=\"na_ve _x_; y.png\"; filename*=UTF-8''na%C3%AFve%20%22x%22%3B%20y.png"
        );
    }

    #[test]
    fn plain_text_is_utf_8_unless_it_says_otherwise() {
        assert_eq!(content_type("text/plain"), "text/plain; charset=utf-8");
        assert_eq!(content_type("text/plain; charset=koi8-r"), "text/plain; charset=koi8-r");
        assert_eq!(content_type("text/html"), "text/html");
    }
}
