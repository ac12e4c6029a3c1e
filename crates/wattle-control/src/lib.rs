//! The control plane: sources, compile, delta xDS, the certificate authority, statuses.
