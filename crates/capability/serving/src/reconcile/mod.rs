//! Brings endpoints from what they are to what they should be.

mod apply;
mod endpoint;
mod observe;
mod release;
mod words;

pub use endpoint::EndpointReconciler;
