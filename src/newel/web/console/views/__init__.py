"""What pages and their JSON twins show: models, and the functions that read and build them."""
