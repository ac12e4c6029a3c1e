//! A gRPC program that asks for its own configuration.

use crate::{GrpcClient, Resources};

impl GrpcClient<'_> {
    /// What this program is told.
    pub fn encode(&self) -> Resources {
        Resources::default()
    }
}
