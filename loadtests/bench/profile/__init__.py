"""Where the CPU time of a reply goes, replica by replica."""
