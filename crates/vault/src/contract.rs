//! The test-suite of [`Store`](crate::Store).
