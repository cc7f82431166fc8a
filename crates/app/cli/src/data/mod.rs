//! Versions on their way between folders of this machine and a server: hash here, send and fetch only what is
//! missing, and remember how files looked so that they are not read again.

pub mod changes;
pub mod copies;
pub mod download;
pub mod local;
pub mod pieces;
pub mod staging;
pub mod tree;
pub mod upload;
pub mod web;
