"""Images: arrays, folders, identities, streams of photographs."""
