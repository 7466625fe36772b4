//! Reads an element that has been validated before, with its names resolved.

use rxml::error::EndOrError;
use rxml::{Parse, RawEvent, RawParser, WithOptions};

use crate::frame_error::FrameError;
use crate::limits::Limits;
use crate::scope::{Attributes, Scope, StartTag};

/// What takes the parts of the element.
pub(crate) trait Sink {
    fn open(&mut self, tag: StartTag);
    fn text(&mut self, text: String);
    fn close(&mut self);
    /// Asked after each part.
    fn check(&self) -> Result<(), FrameError> {
        Ok(())
    }
}

/// How to read.
pub(crate) struct Reader {
    /// The declarations around the element.
    pub(crate) scope: Scope,
    /// The longest name or attribute value. rxml reserves as much whenever it meets a reference.
    pub(crate) longest: usize,
    /// This namespace is read as `jabber:client` where it is declared around the element or on its own tag.
    pub(crate) unify: Option<&'static str>,
}

impl Reader {
    /// Reads the one element that `bytes` are.
    pub(crate) fn read(self, bytes: &[u8], sink: &mut impl Sink) -> Result<(), FrameError> {
        let Reader { mut scope, longest, unify } = self;
        let mut parser =
            RawParser::with_options(rxml::Options { max_token_length: longest, ..rxml::Options::default() });
        let mut rest = bytes;
        loop {
            match parser.parse(&mut rest, false) {
                Ok(Some(RawEvent::ElementHeadOpen(_, name))) => scope.begin(name),
                Ok(Some(RawEvent::Attribute(_, name, value))) => {
                    scope.attribute(name, value, &Limits::TRUSTED)?
                }
                Ok(Some(RawEvent::ElementHeadClose(_))) => {
                    let tag = scope.open(&Limits::TRUSTED, Attributes::Resolve)?;
                    if scope.depth() == 1
                        && let Some(ns) = unify
                    {
                        scope.unify(ns);
                    }
                    sink.open(tag);
                }
                Ok(Some(RawEvent::Text(_, text))) => sink.text(text),
                Ok(Some(RawEvent::ElementFoot(_))) => {
                    scope.close();
                    sink.close();
                    if scope.depth() == 0 {
                        return sink.check();
                    }
                }
                Ok(Some(RawEvent::XmlDeclaration(..))) => {}
                Ok(None) | Err(EndOrError::NeedMoreData) => {
                    return Err(FrameError::NotWellFormed("the element does not end".to_owned()));
                }
                Err(EndOrError::Error(error)) => return Err(error.into()),
            }
            sink.check()?;
        }
    }
}
