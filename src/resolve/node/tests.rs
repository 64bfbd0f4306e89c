// filled in below
use super::*;
