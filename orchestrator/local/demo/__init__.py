"""The demo: real Suricata alerts through the whole path on this machine."""
