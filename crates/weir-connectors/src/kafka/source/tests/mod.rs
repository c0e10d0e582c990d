mod faults;
mod groups;
mod reading;
mod rig;
