import { mount } from 'svelte';

import Root from './ui/Root.svelte';
import './ui/theme.css';

const target = document.getElementById('app');
if (target) mount(Root, { target });
