"""What an account wants to be told of, and what an app should know of the deployment."""
