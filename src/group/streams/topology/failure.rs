//! Why a topology is not configured.

use super::configured::Problem;
use super::validate::TopologyError;

/// See the module.
#[derive(Debug)]
pub enum Failure {
    /// It never can be.
    Invalid(TopologyError),
    /// Topics are not as they have to be.
    Problem(Problem),
}
