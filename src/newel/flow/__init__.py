"""What authors of processes import; nothing here touches a database or the network."""
