//! Turns a local folder into a version on the server: hash here, send only what is missing there.
