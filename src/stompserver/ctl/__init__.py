"""`stompctl`: look after a server and what it stores."""
