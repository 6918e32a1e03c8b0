//! Groups: assignment, revocation, fencing.
