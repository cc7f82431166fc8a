//! Folders that a client on the same machine lends to the server: bytes of files need not pass through a socket.
//!
//! A path would not do: whoever has a token could name a folder that the server may read and they may not. So the
//! client opens the folder itself, with its own rights, and passes the descriptor over a Unix socket
//! (`SCM_RIGHTS`, unix(7)). It is answered a handle, which it names in requests of the HTTP API; routes, permissions
//! and errors are all there. The folder is lent as long as the connection is open, and whichever way the client
//! ends, that ends too.
//!
//! Both ends ask the kernel who the other is (`SO_PEERCRED`) and deal with their own user alone. A handle is 128
//! random bits, so nobody guesses one.

mod folders;
mod loan;
mod socket;

pub use folders::Folders;
pub use loan::Loan;
