"""Pages and what they post: one page a module; GET shows, POST acts, 303 follows."""
