"""One request to awork done right: settings, authentication, pacing, transport."""
