"""The same server as operators ask it: GraphQL over what REST shows, for admins alone."""

PATH = "/graphql"
