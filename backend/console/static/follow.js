// Looks again every second until what is being made is there.
setTimeout(() => location.reload(), 1000);
