import { mount } from 'svelte';

import Root from './ui/Root.svelte';
import './ui/theme.css';

const target = document.getElementById('app');
if (target) mount(Root, { target });

// The page itself is kept by the browser, so that it opens without a connection, too.
if ('serviceWorker' in navigator && import.meta.env.PROD) void navigator.serviceWorker.register('/sw.js');
