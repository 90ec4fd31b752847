"""What people do in a browser, done with a real one: Chromium without a window, driven by chromedriver."""
